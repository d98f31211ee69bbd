"""tools/model_converters/publish_model.py on what a training wrote."""

import runpy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from ..helpers import ROOT

TOOL = ROOT / 'tools/model_converters/publish_model.py'


def run_tool(*args):
    runpy.run_path(str(TOOL))['main']([str(arg) for arg in args])


def test_publishes_a_training_with_slf(trained, tmp_path, capsys):
    path = trained[0] / 'epoch_1.pth'
    target = tmp_path / 'folder' / 'published.pth'
    run_tool(path, target)
    before = torch.load(path)
    after = torch.load(target)
    left_out = [key for key in before['state_dict'] if 'loss_balancer' in key]
    assert left_out and f'{len(left_out)} of a balancer left out' in capsys.readouterr().out
    assert set(after) == {'meta', 'state_dict'}
    assert after['meta']['dataset_meta'] == before['meta']['dataset_meta']
    MODELS.build(Config.fromstring(after['meta']['cfg'], '.py').model).load_state_dict(after['state_dict'])
    assert [file.name for file in target.parent.iterdir()] == ['published.pth']


@pytest.mark.parametrize(
    ('content', 'message'), [(dict(weights=1), 'no state_dict'), (b'text', 'bad.pth'), (None, 'can not be found')]
)
def test_what_it_cannot_publish(content, message, tmp_path):
    path, target = tmp_path / 'bad.pth', tmp_path / 'out.pth'
    target.write_bytes(b'old')
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        torch.save(content, path)
    with pytest.raises(SystemExit, match=f'^publish_model: .*{message}'):
        run_tool(path, target)
    assert target.read_bytes() == b'old'

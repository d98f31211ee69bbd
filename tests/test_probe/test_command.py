"""``slf-mmdet probe`` on the digits: a YOLO from scratch, one from a checkpoint, and a detector of mmdet."""

import json

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from slf_mmdet.commands.probe import main

from ..helpers import CONFIGS, ROOT

YOLO = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'
RETINANET = CONFIGS / 'digits' / 'retinanet_r18-slim_fpn_1xb8-3e_digits-112px.py'
LOADER = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']


def probe(digits, tmp_path, monkeypatch, *args, options=()):
    monkeypatch.chdir(digits)
    assert main([*map(str, args), '--out', str(tmp_path / 'out'), '--cfg-options', *LOADER, *options]) == 0
    return json.loads((tmp_path / 'out' / 'probe.json').read_text(encoding='utf-8'))


def test_untrained_yolo(digits, tmp_path, monkeypatch, capsys):
    before = sorted(path for path in digits.rglob('*') if 'digits_voc' not in path.parts)
    found = probe(digits, tmp_path, monkeypatch, YOLO, '--iters', '5', '--batches', '3')
    printed = capsys.readouterr().out
    assert found['parts'] == ['coord', 'cls', 'obj', 'noobj'] and found['base_weights'] == [5.0, 1.0, 1.0, 0.5]
    assert (found['iterations'], found['batches']) == (5, 3)
    assert min(found['losses']) > 0 and min(found['gradient_norms']) > 0
    assert sum(found['slf_weights']) == pytest.approx(7.5)
    assert all(found['cosines'][i][i] == pytest.approx(1) for i in range(4))
    assert found['cost'] == pytest.approx(
        1 + found['measured_share'] * found['measuring_seconds'] / found['step_seconds']
    )
    assert found['text'] in ' '.join(printed.split())
    if found['verdict'] == 'worth a comparison':
        assert f'slf-mmdet compare {YOLO} --balancers static slf --seeds 0 1 2 3 4' in printed
    assert (tmp_path / 'out' / 'probe.png').stat().st_size > 10_000
    assert sorted(path for path in digits.rglob('*') if 'digits_voc' not in path.parts) == before


def test_checkpoint_is_not_trained(digits, tmp_path, monkeypatch):
    """So the same batches of one image give the same losses, however often they come."""
    torch.manual_seed(1)
    model = MODELS.build(Config.fromfile(YOLO).model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'plain.pth')
    pipeline = Config.fromfile(YOLO).train_dataloader.dataset.pipeline
    kept = [step for step in pipeline if step['type'] in ('LoadImageFromFile', 'LoadAnnotations', 'Resize')]
    one_image = ['train_dataloader.dataset.indices=16']
    cfg = Config.fromfile(YOLO)
    cfg.train_dataloader.dataset.pipeline = [*kept, dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape'))]
    cfg.dump(tmp_path / 'plain.py')
    runs = [
        probe(
            digits, tmp_path, monkeypatch, tmp_path / 'plain.py', tmp_path / 'plain.pth', '--batches', number,
            options=one_image,
        )
        for number in ('2', '6')
    ]  # fmt: skip
    assert [run['iterations'] for run in runs] == [0, 0]
    assert runs[0]['losses'] == pytest.approx(runs[1]['losses'], rel=1e-4)


def test_detector_of_mmdet_with_parts(digits, tmp_path, monkeypatch, capsys):
    parts = ['kind=loss_cls', 'box=loss_bbox']
    found = probe(digits, tmp_path, monkeypatch, RETINANET, '--iters', '1', '--batches', '2', '--parts', *parts)
    assert found['parts'] == ['kind', 'box']
    if found['verdict'] == 'worth a comparison':
        assert '--parts kind=loss_cls box=loss_bbox' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ([YOLO, '--batches', '1'], '--batches must be >= 2, found 1'),
        ([YOLO, '--iters', '-1'], '--iters must be >= 0, found -1'),
    ],
)
def test_wrong_arguments(args, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    assert ended.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--iters', '500', '--batches', '2', 'train_cfg.max_epochs=1'], 'the training ended after 4 iterations'),
        (['--parts', 'class=loss_cls', 'train_cfg.max_epochs=1'], "the part name 'class' is a word of Python"),
        (['--parts', 'box=loss_bbox', 'train_cfg.max_epochs=1'], 'names the parts of its loss itself'),
    ],
)
def test_failures(args, message, digits, tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        probe(digits, tmp_path, monkeypatch, YOLO, *args[:-1], options=args[-1:])
    assert message in ended.value.code
    assert not (tmp_path / 'out').exists() and (ROOT / 'setup.py').exists()

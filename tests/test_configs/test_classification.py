"""The classification configs: one pair of networks, six losses, each a step away from cross-entropy."""

import pytest
import torch
import yaml
from helpers import CONFIGS, ROOT
from mmengine.config import Config
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain', reason="classification needs mmpretrain: pip install 'slf-mmdet[cls]'")

FOLDER = CONFIGS / 'classification'
PATHS = sorted(FOLDER.glob('*.py'))
LOSSES = dict(
    ce='CrossEntropyLoss',
    smooth='SmoothZeroOneLoss',
    **{
        'lm-softmax': 'CrossEntropyLoss',
        'adaptive-robust': 'AdaptiveRobustLoss',
        'slf': 'StochasticLoss',
        'slf-softmax': 'StochasticLoss',
    },
)


def test_every_network_comes_with_every_loss():
    found = {tuple(path.stem.split('_')[:2]) for path in PATHS}
    assert found == {(network, loss) for network in ('mlp', 'lenet') for loss in LOSSES}


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_builds_trains_a_step_and_predicts(path):
    from mmpretrain.registry import MODELS
    from mmpretrain.structures import DataSample

    cfg = Config.fromfile(path)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    name = path.stem.split('_')[1]
    assert type(model.head.loss_module).__name__ == LOSSES[name]
    assert (type(model.head.classifier).__name__ == 'LargeMarginLinear') == (name == 'lm-softmax')
    assert getattr(model.head.loss_module, 'sampler', 'softmax') == ('gumbel' if name == 'slf' else 'softmax')

    data = dict(
        inputs=[torch.randint(256, (1, 32, 32), dtype=torch.uint8) for _ in range(4)],
        data_samples=[DataSample().set_gt_label(label) for label in (0, 3, 9, 3)],
    )
    data = model.data_preprocessor(data, training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(0 <= sample.pred_label < 10 for sample in model.eval()(**data, mode='predict'))


def test_the_index_and_the_readme_name_every_config():
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text(encoding='utf-8'))
    assert sorted(ROOT / model['Config'] for model in meta['Models']) == PATHS
    assert all(model['Name'] == (ROOT / model['Config']).stem for model in meta['Models'])
    readme = (FOLDER / 'README.md').read_text(encoding='utf-8')
    assert [path.stem for path in PATHS if path.stem not in readme] == []
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    assert 'configs/classification/metafile.yml' in index['Import']

"""The residual networks for 32 x 32 pixels against the figures of their papers, and against torch's functions."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.models.backbones import CIFARResNet, WideResNet


def millions(backbone, digits):
    """Parameters of the network with a linear layer for ten classes, which the papers count, too."""
    parameters = sum(p.numel() for p in backbone.parameters()) + 10 * backbone.out_channels + 10
    return round(parameters / 1e6, digits)


# Table 6 of He et al.
@pytest.mark.parametrize(('depth', 'published'), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnet_has_the_parameters_of_the_paper(depth, published):
    with torch.device('meta'):
        assert millions(CIFARResNet(depth), 2 if published < 1 else 1) == published


# Table 4 of Zagoruyko & Komodakis
@pytest.mark.parametrize(
    ('depth', 'widen_factor', 'published'),
    [(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (28, 10, 36.5), (22, 8, 17.2), (16, 8, 11.0), (16, 10, 17.1)],
)
def test_wrn_has_the_parameters_of_the_paper(depth, widen_factor, published):
    with torch.device('meta'):
        assert millions(WideResNet(depth, widen_factor), 1) == published


@pytest.mark.parametrize('kind', [CIFARResNet, WideResNet])
def test_depth_counts_the_layers(kind):
    # He et al. count the linear layer, Zagoruyko & Komodakis the convolutions, those of three shortcuts included
    depth = 16 if kind is WideResNet else 14
    with torch.device('meta'):
        backbone = kind(depth)
    assert sum(isinstance(m, torch.nn.Conv2d) for m in backbone.modules()) == (
        depth if kind is WideResNet else depth - 1
    )


@pytest.mark.parametrize(
    ('cfg', 'channels'),
    [(dict(type='CIFARResNet', depth=8), 64), (dict(type='WideResNet', depth=10, widen_factor=2), 128)],
    ids=lambda value: value['type'] if isinstance(value, dict) else str(value),
)
def test_is_built_from_a_config_and_quarters_the_map(cfg, channels):
    backbone = MODELS.build(cfg)
    (out,) = backbone(torch.rand(2, 3, 32, 32))
    assert out.shape == (2, channels, 8, 8)
    assert backbone.out_channels == channels
    assert MODELS.build(dict(cfg, in_channels=1))(torch.rand(1, 1, 16, 24))[0].shape == (1, channels, 4, 6)


def randomised(backbone):
    """In evaluation mode, with normalisations that change their input."""
    torch.manual_seed(0)
    for name, tensor in backbone.state_dict().items():
        if name.endswith(('bias', 'running_mean')):
            tensor.normal_()
        elif tensor.dim() == 1:
            tensor.uniform_(0.5, 2)
    return backbone.eval()


def norm(state, prefix, x):
    names = ('running_mean', 'running_var', 'weight', 'bias')
    return F.batch_norm(x, *(state[f'{prefix}.{name}'] for name in names), eps=1e-5)


def test_resnet_equals_torch_functions():
    backbone = randomised(CIFARResNet(14))
    state = backbone.state_dict()
    images = torch.randn(2, 3, 32, 32)
    x = norm(state, 'stem.bn', F.conv2d(images, state['stem.conv.weight'], padding=1)).relu()
    for stage in range(3):
        for block in range(2):
            key, stride = f'stages.{stage}.{block}', 2 if stage and not block else 1
            out = F.conv2d(x, state[f'{key}.conv1.weight'], stride=stride, padding=1)
            out = F.conv2d(norm(state, f'{key}.bn1', out).relu(), state[f'{key}.conv2.weight'], padding=1)
            out = norm(state, f'{key}.bn2', out)
            if stride == 2:
                x = F.avg_pool2d(x, 1, 2)
                x = torch.cat([x, torch.zeros_like(x)], 1)
            x = (x + out).relu()
    with torch.no_grad():
        torch.testing.assert_close(backbone(images)[0], x)


def test_wrn_equals_torch_functions():
    backbone = randomised(WideResNet(16, 2, dropout=0.3))  # no dropout in evaluation
    state = backbone.state_dict()
    images = torch.randn(2, 3, 32, 32)
    x = F.conv2d(images, state['stem.weight'], padding=1)
    for stage in range(3):
        for block in range(2):
            key, stride = f'stages.{stage}.{block}', 2 if stage and not block else 1
            before = norm(state, f'{key}.norm', x).relu()
            out = F.conv2d(before, state[f'{key}.conv1.conv.weight'], stride=stride, padding=1)
            out = norm(state, f'{key}.conv1.bn', out).relu()
            if block == 0:
                x = F.conv2d(before, state[f'{key}.shortcut.weight'], stride=stride)
            x = x + F.conv2d(out, state[f'{key}.conv2.weight'], padding=1)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images)[0], norm(state, 'norm', x).relu())


def test_dropout_is_active_in_training():
    torch.manual_seed(0)
    backbone, x = WideResNet(10, 1, dropout=0.5).train(), torch.rand(2, 3, 8, 8)
    assert not torch.equal(backbone(x)[0], backbone(x)[0])


@pytest.mark.parametrize('kind', [CIFARResNet, WideResNet])
def test_initialisation_keeps_the_variance_of_gradients_through_relus(kind):
    # sqrt(2 / fan-out); each convolution of the last stage has 64 x 3 x 3
    backbone = kind(depth=16, widen_factor=1) if kind is WideResNet else kind(depth=14)
    backbone.init_weights()
    for block in backbone.stages[2]:
        for conv in (getattr(block.conv1, 'conv', block.conv1), block.conv2):
            assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


@pytest.mark.parametrize(
    ('kind', 'depth', 'text'),
    [
        (CIFARResNet, 18, r'CIFARResNet: depth must be 6n \+ 2 with n >= 1: 8, 14, 20, .*; found 18'),
        (CIFARResNet, 2, 'found 2'),
        (WideResNet, 20, r'WideResNet: depth must be 6n \+ 4 with n >= 1: 10, 16, 22, .*; found 20'),
    ],
)
def test_wrong_depth(kind, depth, text):
    with pytest.raises(ValueError, match=text):
        kind(depth)

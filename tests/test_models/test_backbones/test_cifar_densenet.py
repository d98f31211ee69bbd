"""mmpretrain's DenseNet with the first layer for 32 x 32 pixels."""

import pytest
import torch
from mmdet.registry import MODELS

pytest.importorskip('mmpretrain', reason="CIFARDenseNet needs mmpretrain: pip install 'slf-mmdet[cls]'")


def build(growth_rate, depths, **kwargs):
    arch = dict(growth_rate=growth_rate, depths=depths, init_channels=2 * growth_rate)
    return MODELS.build(dict(type='CIFARDenseNet', arch=arch, **kwargs))


# Table 2 of Huang et al., DenseNet-BC: with the linear layer for ten classes
@pytest.mark.parametrize(('growth_rate', 'depth', 'published'), [(12, 100, 0.8), (24, 250, 15.3), (40, 190, 25.6)])
def test_has_the_parameters_of_the_paper(growth_rate, depth, published):
    with torch.device('meta'):
        network = build(growth_rate, [(depth - 4) // 6] * 3)
    channels = network.transitions[-1][0].num_features
    parameters = sum(p.numel() for p in network.parameters()) + 10 * channels + 10
    assert round(parameters / 1e6, 1) == published
    assert sum(isinstance(m, torch.nn.Conv2d) for m in network.modules()) == depth - 1


def test_map_is_a_quarter_of_the_image():
    network = build(4, [2, 2, 2])
    assert network(torch.rand(1, 3, 32, 32))[0].shape[2:] == (8, 8)
    assert build(4, [2, 2, 2], in_channels=1)(torch.rand(1, 1, 32, 32))[0].shape[2:] == (8, 8)


def test_settings_reach_mmpretrains_network():
    assert build(4, [1], drop_rate=0.2).stages[0].block[0].drop_rate == 0.2

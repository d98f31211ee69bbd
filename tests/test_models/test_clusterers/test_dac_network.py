"""DACNetwork: the layers of the authors, in their sizes."""

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def build(**settings):
    model = MODELS.build(dict(type='DACNetwork', **settings))
    model.init_weights()
    return model


@pytest.mark.parametrize(
    ('settings', 'size', 'sizes'),
    [
        # Each convolution takes 2: 26, 24, 22, pooled 11, 9, 7, 5, pooled 2
        (dict(in_channels=1), 28, [26, 24, 22, 9, 7, 5, 2]),
        (dict(in_channels=3, stages=((64, 64), (128, 128))), 32, [30, 28, 12, 10, 5]),
    ],
    ids=['MNIST', 'CIFAR-10'],
)
def test_sizes_of_the_maps(settings, size, sizes):
    model, found = build(num_clusters=10, **settings), []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *args: found.append(args[2].shape[-1]))
    out = model(torch.randn(2, settings['in_channels'], size, size))
    assert found == sizes
    assert out.shape == (2, 10)
    torch.testing.assert_close(out.sum(1), torch.ones(2))


def test_a_normalisation_follows_every_layer():
    # 6 convolutions of 3 x 3 and 2 poolings, 1 convolution of 1 x 1, the mean, 2 linear layers
    norms = [module for module in build(num_clusters=4).modules() if isinstance(module, _BatchNorm)]
    assert [norm.num_features for norm in norms] == [64] * 4 + [128] * 4 + [4] * 4


def test_initial_weights():
    torch.manual_seed(0)
    model = build(num_clusters=10)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    for convolution in convolutions[1:6]:
        inputs = convolution.in_channels * 9
        assert convolution.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.05)  # He et al., ICCV 2015
    for linear in (module for module in model.modules() if isinstance(module, nn.Linear)):
        torch.testing.assert_close(linear.weight, torch.eye(10))


def test_the_cluster_of_an_image_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    model = build(num_clusters=3, stages=((4,),))
    images = torch.randn(6, 1, 8, 8)
    model(images)  # running statistics
    model.eval()
    torch.testing.assert_close(model(images)[:1], model(images[:1]))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(num_clusters=1), 'num_clusters must be an integer >= 2, found 1. One cluster has all images'),
        (dict(num_clusters=10, stages=((),)), r'each of stages must be a list of integers >= 1, found \(\)'),
        (dict(num_clusters=10, stages=((16, 0),)), r'each of stages must be a list of integers >= 1, found \(16, 0\)'),
    ],
    ids=str,
)
def test_invalid_settings(settings, message):
    with pytest.raises(ValueError, match=f'DACNetwork: {message}'):
        build(**settings)

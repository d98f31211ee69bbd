"""DenseNet for images of 32 x 32 pixels (Huang et al., CVPR 2017, https://arxiv.org/abs/1608.06993, section 3)."""

from typing import Any, Union

from mmdet.registry import MODELS
from torch import nn


@MODELS.register_module('CIFARDenseNet')
def cifar_densenet(arch: Union[str, dict], in_channels: int = 3, **kwargs: Any) -> nn.Module:
    """Builds mmpretrain's ``DenseNet`` with a first layer, a 3x3 convolution, that keeps the size of the image.

    It is a function and not a subclass, because mmpretrain is an optional dependency, imported when a network is built.

    Args:
        arch: ``dict(growth_rate=k, depths=[...], init_channels=...)``. DenseNet-BC of L layers has three blocks of
            (L - 4) / 6 bottlenecks each, into which 2k channels go.
        in_channels: channels of the image.
        kwargs: passed to ``DenseNet``.
    """
    from mmpretrain.models.backbones import DenseNet

    network = DenseNet(arch, in_channels, **kwargs)
    network.stem = nn.Conv2d(in_channels, network.init_channels, 3, padding=1, bias=False)
    return network

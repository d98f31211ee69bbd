"""A U-Net (Ronneberger et al., MICCAI 2015, https://arxiv.org/abs/1505.04597) of any width and depth."""

from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...utils.checks import is_count, require


@MODELS.register_module()
class UNet(BaseModule):
    """An encoder that halves the resolution, and a decoder that restores it beside the encoder's maps.

    Each stage is two 3x3 convolutions with batch normalisation and ReLU. They are padded, so that the output has the
    size of the input, whatever it is.

    Args:
        in_channels: of the image.
        base_channels: of the first stage; each further one has twice as many.
        num_stages: >= 1; the last has 1 / 2^(num_stages - 1) of the resolution.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: a setting is no integer >= 1.

    Examples:
        >>> [tuple(x.shape) for x in UNet(base_channels=4, num_stages=3)(torch.zeros(2, 3, 30, 21))]
        [(2, 4, 30, 21)]
    """

    def __init__(
        self, in_channels: int = 3, base_channels: int = 16, num_stages: int = 4, init_cfg: Optional[dict] = None
    ) -> None:
        super().__init__(init_cfg)
        settings = dict(in_channels=in_channels, base_channels=base_channels, num_stages=num_stages)
        for key, value in settings.items():
            require(is_count(value), 'UNet', key, 'an integer >= 1', value)
        widths = [base_channels * 2**stage for stage in range(num_stages)]
        self.encoder = nn.ModuleList(_stage(*pair) for pair in zip([in_channels, *widths], widths))
        # from the lowest resolution upwards
        self.decoder = nn.ModuleList(_stage(low + high, high) for high, low in reversed([*zip(widths, widths[1:])]))

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """Maps images ``(N, in_channels, H, W)`` to a tuple of one map ``(N, base_channels, H, W)``."""
        maps: List[Tensor] = []
        for stage in self.encoder:
            x = stage(F.max_pool2d(x, 2, ceil_mode=True) if maps else x)
            maps.append(x)
        for stage, beside in zip(self.decoder, reversed(maps[:-1])):
            x = F.interpolate(x, size=beside.shape[-2:], mode='bilinear', align_corners=False)
            x = stage(torch.cat([x, beside], 1))
        return (x,)


def _stage(in_channels: int, out_channels: int) -> nn.Sequential:
    norm = dict(type='BN')
    return nn.Sequential(
        ConvModule(in_channels, out_channels, 3, padding=1, norm_cfg=norm),
        ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm),
    )

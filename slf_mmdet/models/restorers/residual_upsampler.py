"""A network that enlarges images, in the manner of EDSR (Lim et al., CVPRW 2017, https://arxiv.org/abs/1707.02921)."""

from typing import Optional

import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...utils.checks import is_count, require


@MODELS.register_module()
class ResidualUpsampler(BaseModule):
    """What bicubic interpolation lacks: residual blocks at the low resolution, then a sub-pixel convolution.

    The last convolution starts at 0, so that an untrained network is bicubic interpolation.

    Args:
        scale: factor >= 1 of the height and the width.
        channels: width >= 1.
        num_blocks: residual blocks >= 0, of two 3x3 convolutions each, without normalisation.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self, scale: int = 2, channels: int = 32, num_blocks: int = 4, init_cfg: Optional[dict] = None
    ) -> None:
        super().__init__(init_cfg)
        for key, value, low in (('scale', scale, 1), ('channels', channels, 1), ('num_blocks', num_blocks, 0)):
            require(is_count(value, low), 'ResidualUpsampler', key, f'an integer >= {low}', value)
        self.scale = scale
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )
            for _ in range(num_blocks)
        )
        self.last = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarges RGB images ``(N, 3, H, W)`` to ``(N, 3, scale H, scale W)``."""
        enlarged = F.interpolate(images, scale_factor=self.scale, mode='bicubic', align_corners=False)
        x = self.first(images)
        for block in self.blocks:
            x = x + block(x)
        return enlarged + F.pixel_shuffle(self.last(x), self.scale)

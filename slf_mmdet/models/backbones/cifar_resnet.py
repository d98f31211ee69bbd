"""Residual networks for images of 32 x 32 pixels: the ResNets of CIFAR and the wide ones.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (https://arxiv.org/abs/1512.03385), section 4.2,
and Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016 (https://arxiv.org/abs/1605.07146). Both have three
stages of equally many blocks, of which the second and the third halve the map: 32 x 32, 16 x 16, 8 x 8.
"""

from typing import Optional, Tuple

import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from mmdet.models.backbones.resnet import BasicBlock
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn

BATCH_NORM = {'type': 'BN'}
KAIMING = [{'type': 'Kaiming', 'layer': 'Conv2d'}, {'type': 'Constant', 'layer': '_BatchNorm', 'val': 1}]
STEM = 16
STRIDES = (1, 2, 2)
LAYERS_PER_N = 2 * len(STRIDES)


@MODELS.register_module()
class CIFARResNet(BaseModule):
    """ResNet of 6n + 2 layers: n basic blocks of 16, n of 32 and n of 64 channels.

    Shortcuts are identities everywhere (option A of the paper): where the map shrinks they take every second
    position, and zeros for the new channels.

    Args:
        depth: 6n + 2, the number of convolutions with the linear layer of the head: 8, 20, 32, 44, 56, 110 ...
        in_channels: channels of the image.
        norm_cfg: normalisation after each convolution.
        init_cfg: initialisation; ``None``: Kaiming (fan-out) for ReLU.

    Attributes:
        out_channels (int): channels of the map that ``forward`` returns.

    Raises:
        ValueError: ``depth`` is not 6n + 2 with n >= 1.
    """

    def __init__(
        self,
        depth: int = 20,
        in_channels: int = 3,
        norm_cfg: ConfigType = BATCH_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        blocks = _blocks_per_stage('CIFARResNet', depth, layers_besides=2)
        super().__init__(KAIMING if init_cfg is None else init_cfg)
        self.stem = ConvModule(in_channels, STEM, 3, padding=1, norm_cfg=norm_cfg)
        self.stages = nn.ModuleList()
        channels = STEM
        for stage, stride in enumerate(STRIDES):
            width = STEM * 2**stage
            first = BasicBlock(
                channels, width, stride, downsample=_PaddedShortcut(width - channels, stride), norm_cfg=norm_cfg
            )
            others = [BasicBlock(width, width, norm_cfg=norm_cfg) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(first, *others))
            channels = width
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """Maps images (N, in_channels, H, W) to a tuple of one map (N, 64, H / 4, W / 4)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return (x,)


@MODELS.register_module()
class WideResNet(BaseModule):
    """WRN-d-k: n pre-activated blocks of 16k, n of 32k and n of 64k channels, d = 6n + 4.

    Args:
        depth: d, the number of convolutions with those of the three shortcuts: 10, 16, 22, 28, 40 ...
        widen_factor: k >= 1.
        dropout: probability in [0, 1) between the two convolutions of a block.
        in_channels: channels of the image.
        norm_cfg: normalisation before each convolution.
        init_cfg: initialisation; ``None``: Kaiming (fan-out) for ReLU.

    Attributes:
        out_channels (int): channels of the map that ``forward`` returns, 64k.

    Raises:
        ValueError: ``depth`` is not 6n + 4 with n >= 1.
    """

    def __init__(
        self,
        depth: int = 28,
        widen_factor: int = 10,
        dropout: float = 0.0,
        in_channels: int = 3,
        norm_cfg: ConfigType = BATCH_NORM,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        blocks = _blocks_per_stage('WideResNet', depth, layers_besides=4)
        super().__init__(KAIMING if init_cfg is None else init_cfg)
        self.stem = nn.Conv2d(in_channels, STEM, 3, padding=1, bias=False)
        self.stages = nn.ModuleList()
        channels = STEM
        for stage, stride in enumerate(STRIDES):
            width = STEM * 2**stage * widen_factor
            first = PreActivatedBlock(channels, width, stride, dropout, norm_cfg)
            others = [PreActivatedBlock(width, width, 1, dropout, norm_cfg) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(first, *others))
            channels = width
        self.norm = build_norm_layer(norm_cfg, channels)[1]
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """Maps images (N, in_channels, H, W) to a tuple of one map (N, 64k, H / 4, W / 4)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return (F.relu(self.norm(x)),)


class PreActivatedBlock(nn.Module):
    """Normalisation, ReLU, 3x3 convolution, twice; where the shape changes, the shortcut is a 1x1 convolution.

    That convolution, too, follows the first normalisation and ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution and of the shortcut.
        dropout: probability in [0, 1) before the second convolution.
        norm_cfg: normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dropout: float = 0.0,
        norm_cfg: ConfigType = BATCH_NORM,
    ) -> None:
        super().__init__()
        self.norm = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv1 = ConvModule(in_channels, out_channels, 3, stride, padding=1, norm_cfg=norm_cfg)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: Optional[nn.Module] = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        activated = F.relu(self.norm(x))
        skipped = x if self.shortcut is None else self.shortcut(activated)
        return skipped + self.conv2(self.dropout(self.conv1(activated)))


class _PaddedShortcut(nn.Module):
    """Every ``stride``-th position of a map, with ``new_channels`` channels of zeros appended."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def _blocks_per_stage(owner: str, depth: int, layers_besides: int) -> int:
    blocks, rest = divmod(depth - layers_besides, LAYERS_PER_N)
    if rest or blocks < 1:
        choices = ', '.join(str(LAYERS_PER_N * n + layers_besides) for n in range(1, 6))
        raise ValueError(
            f'{owner}: depth must be {LAYERS_PER_N}n + {layers_besides} with n >= 1: {choices} ...; found {depth}.'
        )
    return blocks

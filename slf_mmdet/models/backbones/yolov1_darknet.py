"""The convolutional part of YOLO, Fast YOLO and their relatives.

Layer tables after Redmon et al., "You Only Look Once: Unified, Real-Time Object Detection", CVPR
2016 (https://arxiv.org/abs/1506.02640), Figure 3 and Section 2.2, and after darknet's
``cfg/yolov1.cfg``, ``cfg/yolov1-tiny.cfg``, ``cfg/yolo-tiny.cfg`` (Fast YOLO) and
``cfg/extraction.cfg``.
"""

from typing import NamedTuple, Optional, Union

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class ConvSpec(NamedTuple):
    """One convolution with "same" padding, and whether a 2x2 max-pool follows it."""

    out_channels: int
    kernel_size: int = 3
    stride: int = 1
    pool: bool = False


_EXTRACTION = (
    ConvSpec(64, 7, 2, pool=True),
    ConvSpec(192, pool=True),
    ConvSpec(128, 1),
    ConvSpec(256),
    ConvSpec(256, 1),
    ConvSpec(512, pool=True),
    *(ConvSpec(256, 1), ConvSpec(512)) * 4,
    ConvSpec(512, 1),
    ConvSpec(1024, pool=True),
    *(ConvSpec(512, 1), ConvSpec(1024)) * 2,
)
_DETECTION = (ConvSpec(1024), ConvSpec(1024, stride=2), ConvSpec(1024), ConvSpec(1024))
_SIX_POOLED = tuple(ConvSpec(channels, pool=True) for channels in (16, 32, 64, 128, 256, 512))

ARCHS: dict[str, tuple[ConvSpec, ...]] = {
    'extraction': _EXTRACTION,
    'yolo': _EXTRACTION + _DETECTION,
    'fast': _SIX_POOLED + (ConvSpec(1024),) * 3,
    'tiny': (*_SIX_POOLED, ConvSpec(1024), ConvSpec(256)),
    'nano': (
        ConvSpec(16, 5, 2, pool=True),
        ConvSpec(32, pool=True),
        ConvSpec(64, pool=True),
        ConvSpec(128),
        ConvSpec(64, 1),
        ConvSpec(128),
    ),
}

BATCH_NORM = {'type': 'BN'}
LEAKY_RELU = {'type': 'LeakyReLU', 'negative_slope': 0.1}
KAIMING = [
    {
        'type': 'Kaiming',
        'layer': 'Conv2d',
        'a': LEAKY_RELU['negative_slope'],
        'mode': 'fan_in',
        'nonlinearity': 'leaky_relu',
    },
    {'type': 'Constant', 'layer': '_BatchNorm', 'val': 1},
]


@MODELS.register_module()
class YOLOV1Darknet(BaseModule):
    """Backbone of YOLOv1: a plain stack of convolutions and max-pools.

    ============ ===== ====== ======== ====================================================
    arch         convs stride channels what it is
    ============ ===== ====== ======== ====================================================
    extraction   20    32     1024     the part of ``yolo`` that is pretrained on ImageNet
    yolo         24    64     1024     YOLO: ``extraction`` and four convolutions more
    fast         9     64     1024     Fast YOLO
    tiny         8     64     256      darknet's ``yolov1-tiny.cfg``
    nano         6     16     128      for a CPU: 19 M multiply-adds at 112 px
    ============ ===== ====== ======== ====================================================

    So 448 px give a 7x7 map with ``yolo``, ``fast`` and ``tiny``, and 112 px one with ``nano``.

    Keys of the state dict: ``layers.<i>.conv.weight`` and ``layers.<i>.bn.*``, or without
    normalisation ``layers.<i>.conv.bias``; i counts convolutions only, from 0. The keys of
    ``extraction`` are those of the first 20 convolutions of ``yolo``, so one can be pretrained
    and the other load it.

    Args:
        arch: Name of a layer table, see above.
        in_channels: Channels of the image.
        norm_cfg: Normalisation after each convolution; batch normalisation is what the released
            darknet weights have. ``None``: biased convolutions, as in the paper.
        act_cfg: Activation after each convolution.
        frozen_stages: Number of convolutions, from the first, that are not trained and keep their
            normalisation in evaluation mode. -1 (or 0): none.
        norm_eval: Keep every batch normalisation in evaluation mode during training.
        channels_last: Keep weights, and so feature maps, in PyTorch's channels-last memory format: on a CPU faster for
            ``nano``, and for inference with ``fast``; on a GPU with mixed precision.
        init_cfg: Initialisation; ``None``: Kaiming (fan-in) for the leaky ReLU.

    Attributes:
        out_channels (int): Channels of the map that ``forward`` returns.
        stride (int): Pixels of the image per cell of that map.

    Raises:
        ValueError: ``arch`` has no layer table, or ``frozen_stages`` exceeds its convolutions.
    """

    def __init__(
        self,
        arch: str = 'yolo',
        in_channels: int = 3,
        norm_cfg: Optional[dict] = BATCH_NORM,
        act_cfg: Optional[dict] = LEAKY_RELU,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        channels_last: bool = False,
        init_cfg: Union[dict, list, None] = None,
    ) -> None:
        if arch not in ARCHS:
            raise ValueError(f'YOLOV1Darknet: arch must be one of {", ".join(sorted(ARCHS))}; found {arch!r}.')
        specs = ARCHS[arch]
        if not -1 <= frozen_stages <= len(specs):
            raise ValueError(
                f'YOLOV1Darknet: frozen_stages counts convolutions, of which {arch!r} has '
                f'{len(specs)}; found {frozen_stages}. Use -1 to freeze none.'
            )
        super().__init__(init_cfg=KAIMING if init_cfg is None else init_cfg)
        self.arch = arch
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.out_channels = specs[-1].out_channels
        self.stride = 1
        self.pool_after = tuple(spec.pool for spec in specs)

        # Convolutions only: pools have no parameters, so they need no index in the state dict.
        self.layers = nn.ModuleList()
        for spec in specs:
            conv = ConvModule(
                in_channels,
                spec.out_channels,
                spec.kernel_size,
                stride=spec.stride,
                padding=spec.kernel_size // 2,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            self.layers.append(conv)
            in_channels = spec.out_channels
            self.stride *= spec.stride * (2 if spec.pool else 1)
        if channels_last:
            self.to(memory_format=torch.channels_last)  # the output of a convolution has the format of its weight
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Maps images (N, in_channels, H, W) to a tuple of one map.

        Args:
            x: Normalised images; H and W are multiples of ``stride``.

        Returns:
            A tuple of one tensor (N, out_channels, H / stride, W / stride).
        """
        for layer, pool in zip(self.layers, self.pool_after):
            x = layer(x)
            if pool:
                x = F.max_pool2d(x, kernel_size=2, stride=2)
        return (x,)

    def train(self, mode: bool = True) -> 'YOLOV1Darknet':
        """Sets the mode, except of frozen layers, which stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        for layer in self.layers[: max(self.frozen_stages, 0)]:
            layer.eval()
            layer.requires_grad_(False)

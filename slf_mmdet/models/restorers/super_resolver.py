"""Super-resolution: enlarges images, trained on images that it reduces itself."""

from typing import Any, Dict, Mapping

import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import ModuleDict
from torch import Tensor

from ...utils.checks import is_count, require


@MODELS.register_module()
class SuperResolver(BaseDetector):
    """Reduces each image, enlarges it again, and compares the result with the image.

    It has the interface of mmdet's detectors, so that its losses are balanced by
    :class:`~slf_mmdet.models.BalancedDetector`, and its data sets and tools are mmdet's; annotations do not matter.

    Args:
        network: from RGB images ``(N, 3, H, W)``, 0 to 1, to ``(N, 3, scale H, scale W)``;
            :class:`ResidualUpsampler` for instance.
        losses: part -> a loss that is called with restored and true images, ``(N, 3, H, W)``, RGB, 0 to 1.
        scale: of the reduction, >= 2, by bicubic interpolation with an antialiasing filter. Rows and columns beyond a
            multiple of it are cut off.
        data_preprocessor: of mmdet; it must give RGB from 0 to 1, ``mean=[0] * 3, std=[255] * 3, bgr_to_rgb=True``.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        network: ConfigType,
        losses: Mapping[str, ConfigType],
        scale: int = 2,
        data_preprocessor: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        require(is_count(scale, 2), 'SuperResolver', 'scale', 'an integer >= 2', scale)
        require(len(losses) > 0, 'SuperResolver', 'losses', 'a dict of at least one loss', losses)
        self.scale = scale
        self.network = MODELS.build(network, default_args=dict(scale=scale))
        self.losses = ModuleDict({name: MODELS.build(loss) for name, loss in losses.items()})

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """The restored images: there are no other features."""
        return self.network(self.reduced(batch_inputs))

    def _forward(self, batch_inputs: Tensor, batch_data_samples: Any = None) -> Tensor:
        """Enlarges images ``(N, 3, H, W)`` as they are."""
        return self.network(batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """``loss_<part>`` of each part, of images ``(N, 3, H, W)``."""
        true = self._whole(batch_inputs)
        restored = self.extract_feat(true)
        return {f'loss_{name}': loss(restored, true) for name, loss in self.losses.items()}

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Puts ``restored``, ``true`` and ``bicubic`` into each sample, ``(3, H, W)``, RGB, 0 to 1.

        Args:
            batch_inputs: images ``(N, 3, H, W)``.
            batch_data_samples: per image its meta information.
            rescale: has no effect: images stay in their size.
        """
        for image, sample in zip(batch_inputs, batch_data_samples):
            height, width = sample.img_shape[:2]
            true = self._whole(image[None, :, :height, :width])  # without padding
            low = self.reduced(true)
            bicubic = F.interpolate(low, scale_factor=self.scale, mode='bicubic', align_corners=False)
            for key, value in (('restored', self.network(low)), ('true', true), ('bicubic', bicubic)):
                sample.set_data({key: value[0].clamp(0, 1)})
        return batch_data_samples

    def reduced(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, scale H, scale W)`` at ``(N, 3, H, W)``."""
        size = [side // self.scale for side in images.shape[-2:]]
        return F.interpolate(images, size=size, mode='bicubic', align_corners=False, antialias=True)

    def _whole(self, images: Tensor) -> Tensor:
        height, width = (side // self.scale * self.scale for side in images.shape[-2:])
        return images[..., :height, :width]

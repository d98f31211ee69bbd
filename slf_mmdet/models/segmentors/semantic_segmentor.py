"""A class for each pixel, with a loss of several named parts."""

from typing import Any, Dict, Mapping

import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.structures import PixelData
from torch import Tensor, nn

from ...losses import generalized_dice
from ...losses.masks import IGNORED, pixel_probabilities
from ...utils.checks import is_count, require


@MODELS.register_module()
class SemanticSegmentor(BaseDetector):
    """A backbone and a 1x1 convolution that classifies each pixel.

    It has the interface of mmdet's detectors, so that its losses are balanced by
    :class:`~slf_mmdet.models.BalancedDetector`, and its data sets, visualizer and tools are mmdet's.

    Args:
        backbone: its last map is classified, and enlarged to the size of the image where it is smaller.
        num_classes: C, with the background, which is class 0.
        in_channels: of the backbone's last map.
        losses: part -> a loss that is called with logits ``(N, C, H, W)`` and classes ``(N, H, W)``.
        data_preprocessor: of mmdet; with ``pad_seg=True`` where images are of several sizes.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: a setting is out of its range; or, when called, an image has no map of classes.
    """

    def __init__(
        self,
        backbone: ConfigType,
        num_classes: int,
        in_channels: int,
        losses: Mapping[str, ConfigType],
        data_preprocessor: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        hint = 'The background is one of them.'
        require(is_count(num_classes, 2), 'SemanticSegmentor', 'num_classes', 'an integer >= 2', num_classes, hint)
        require(len(losses) > 0, 'SemanticSegmentor', 'losses', 'a dict of at least one loss', losses)
        self.backbone = MODELS.build(backbone)
        self.classifier = nn.Conv2d(in_channels, num_classes, 1)
        self.losses = nn.ModuleDict({name: MODELS.build(loss) for name, loss in losses.items()})

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """The backbone's last map, of images ``(N, 3, H, W)``."""
        return self.backbone(batch_inputs)[-1]

    def _forward(self, batch_inputs: Tensor, batch_data_samples: Any = None) -> Tensor:
        """Logits ``(N, C, H, W)``."""
        return self._logits(self.extract_feat(batch_inputs), batch_inputs.shape[-2:])

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """``loss_<part>`` of each part.

        Args:
            batch_inputs: images ``(N, 3, H, W)``.
            batch_data_samples: per image its ``gt_sem_seg``.

        Raises:
            ValueError: an image has none.
        """
        logits, labels = self._forward(batch_inputs), _labels(batch_data_samples)
        return {f'loss_{name}': loss(logits, labels) for name, loss in self.losses.items()}

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Puts ``pred_sem_seg``, the class of each pixel, into each sample.

        Args:
            batch_inputs: images ``(N, 3, H, W)``.
            batch_data_samples: per image its meta information.
            rescale: to the size of the image as it was loaded, instead of that of the network's input.
        """
        for logits, sample in zip(self._forward(batch_inputs), batch_data_samples):
            height, width = sample.img_shape[:2]
            logits = logits[:, :height, :width]  # without padding
            if rescale:
                logits = self._resized(logits[None], sample.ori_shape[:2])[0]
            sample.pred_sem_seg = PixelData(sem_seg=logits.argmax(0, keepdim=True))
        return batch_data_samples

    def soft_quality(self, features: Tensor, batch_data_samples: SampleList) -> Tensor:
        """1 minus the generalised Dice loss, for signals that measure what is lost with a part: a scalar in [0, 1].

        Args:
            features: what :meth:`extract_feat` returned, ``(N, in_channels, h, w)``.
            batch_data_samples: per image its ``gt_sem_seg``.
        """
        labels = _labels(batch_data_samples)
        logits = self._logits(features, labels.shape[-2:])
        p, masks = pixel_probabilities('SemanticSegmentor', logits, labels, use_sigmoid=False, ignore_index=IGNORED)
        return 1 - generalized_dice(p, masks).mean()

    def _logits(self, features: Tensor, size: Any) -> Tensor:
        return self._resized(self.classifier(features), size)

    @staticmethod
    def _resized(logits: Tensor, size: Any) -> Tensor:
        if logits.shape[-2:] == tuple(size):
            return logits
        return F.interpolate(logits, size=tuple(size), mode='bilinear', align_corners=False)


def _labels(data_samples: SampleList) -> Tensor:
    """The class of each pixel of a batch, ``(N, H, W)``."""
    without = [sample.get('img_path', 'an image') for sample in data_samples if 'gt_sem_seg' not in sample]
    if without:
        raise ValueError(
            f'SemanticSegmentor: {len(without)} image(s) have no map of classes (gt_sem_seg), such as {without[0]}. '
            "Give the data set data_prefix=dict(seg_map_path=...), and its pipeline dict(type='LoadAnnotations', "
            'with_bbox=False, with_seg=True).'
        )
    return torch.cat([sample.gt_sem_seg.sem_seg for sample in data_samples])

"""A mask head whose loss has the boundary as a part of its own."""

from typing import Any, Dict

import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor


@MODELS.register_module()
class BoundaryMaskHead(FCNMaskHead):
    """mmdet's ``FCNMaskHead``, with ``loss_boundary`` beside ``loss_mask``.

    A :class:`~slf_mmdet.models.BalancedDetector` finds both and weighs them.

    Args:
        loss_boundary: see :class:`~slf_mmdet.losses.BoundaryLoss`, with ``use_mask=True``. Its default weight is the
            one that the authors start with.
        kwargs: see mmdet's ``FCNMaskHead``.
    """

    def __init__(
        self,
        loss_boundary: ConfigType = dict(type='BoundaryLoss', use_mask=True, loss_weight=0.01),  # noqa: B006
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.loss_boundary = MODELS.build(loss_boundary)

    def loss_and_target(self, mask_preds: Tensor, sampling_results: list, *args: Any, **kwargs: Any) -> Dict[str, Any]:
        """``FCNMaskHead.loss_and_target`` with ``loss_boundary`` among the losses."""
        found = super().loss_and_target(mask_preds, sampling_results, *args, **kwargs)
        labels = torch.cat([result.pos_gt_labels for result in sampling_results])
        labels = torch.zeros_like(labels) if self.class_agnostic else labels
        found['loss_mask']['loss_boundary'] = self.loss_boundary(mask_preds, found['mask_targets'], labels)
        return found

r"""IoU-balanced losses (Wu et al., "IoU-balanced Loss Functions for Single-stage Object Detection", 2019).

Positive examples are weighted by the IoU of their predicted box with the object, :math:`\mathrm{IoU}^\eta`. The weights
are constants for the gradient, and normalised so that the sum of the loss over all positives is unchanged.
"""

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..utils.checks import is_number
from .base import ReducedLoss, match_weight
from .class_scores import one_hot_target


def keep_sum(loss: Tensor, factor: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """``loss * factor``, rescaled to the weighted sum of ``loss``; ``loss`` itself where that is impossible.

    Args:
        loss: >= 0, any shape.
        factor: >= 0, of the same shape; taken as a constant.
        weight: of each sample or element, in the sum.
    """
    with torch.no_grad():
        counted = loss if weight is None else loss * match_weight(weight, loss)
        before, after = counted.sum(), (counted * factor).sum()
        factor = torch.where(after > 0, factor * before / after.clamp_min(torch.finfo(loss.dtype).tiny), 1.0)
    return loss * factor


def iou_balanced_cls(
    pred: Tensor,
    target: Tensor,
    iou: Tensor,
    eta: float = 1.5,
    use_sigmoid: bool = True,
    weight: Optional[Tensor] = None,
) -> Tensor:
    r"""Cross-entropy with positives weighted by :math:`\mathrm{IoU}^\eta`.

    Args:
        pred: logits ``(N, C)``.
        target: class index ``(N,)``, C (sigmoid) or C - 1 (softmax) for the background.
        iou: ``(N,)`` of the predicted box with its object; not used where the class is background.
        eta: >= 0; 0 is the plain loss.
        use_sigmoid: binary cross-entropies instead of one of softmax.
        weight: per sample or element; see :func:`keep_sum`. It is not applied.

    Returns:
        ``(N, C)`` with ``use_sigmoid``, in which only the true class of a positive is weighted, else ``(N,)``.
    """
    factor = iou.detach().to(pred.dtype).clamp_min(0) ** eta
    if use_sigmoid:
        y = one_hot_target(target, pred)
        loss = F.binary_cross_entropy_with_logits(pred, y, reduction='none')
        is_positive = y.bool()
        factor = factor.unsqueeze(-1)
    else:
        loss = F.cross_entropy(pred, target, reduction='none')
        is_positive = target < pred.shape[-1] - 1
    positives = keep_sum(loss.masked_fill(~is_positive, 0), factor.expand_as(loss), weight)
    return torch.where(is_positive, positives, loss)


def iou_balanced_smooth_l1(
    pred: Tensor, target: Tensor, iou: Tensor, delta: float = 1.5, beta: float = 1.0, weight: Optional[Tensor] = None
) -> Tensor:
    r"""Smooth L1 with boxes weighted by :math:`\mathrm{IoU}^\delta`.

    Args:
        pred: boxes ``(N, 4)``.
        target: ``(N, 4)``.
        iou: ``(N,)`` of both.
        delta: >= 0; 0 is the plain loss.
        beta: where the loss turns from square to linear, in the unit of the boxes; 0 for L1.
        weight: per sample or element; see :func:`keep_sum`. It is not applied.

    Returns:
        ``(N, 4)``.
    """
    loss = F.smooth_l1_loss(pred, target, reduction='none', beta=beta)
    factor = iou.detach().to(pred.dtype).clamp_min(0) ** delta
    return keep_sum(loss, factor.unsqueeze(-1).expand_as(loss), weight)


@MODELS.register_module()
class IoUBalancedClsLoss(ReducedLoss):
    """See :func:`iou_balanced_cls`.

    For the heads of mmdet that pass the IoU to their classification loss in the target ``(labels, IoU)``: GFL, LD and
    RTMDet, instead of their QualityFocalLoss.

    Args:
        eta: >= 0; 0 is plain cross-entropy.
        use_sigmoid: of the head.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: ``eta`` < 0, or the target is not a pair.
    """

    def __init__(
        self, eta: float = 1.5, use_sigmoid: bool = True, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        if not is_number(eta, 0):
            raise ValueError(f'IoUBalancedClsLoss: eta must be >= 0, found {eta}.')
        self.eta = eta
        self.use_sigmoid = use_sigmoid

    def unreduced(
        self, pred: Tensor, target: Tuple[Tensor, Tensor], weight: Optional[Tensor] = None, **kwargs: Any
    ) -> Tensor:
        if not (isinstance(target, (tuple, list)) and len(target) == 2):
            raise ValueError(
                'IoUBalancedClsLoss: the target must be the pair (labels, IoU), found '
                f'{type(target).__name__}. GFLHead, LDHead and RTMDetHead pass one; other heads do not compute the IoU '
                'before they call this loss.'
            )
        labels, iou = target
        return iou_balanced_cls(pred, labels, iou, self.eta, self.use_sigmoid, weight)


@MODELS.register_module()
class IoUBalancedSmoothL1Loss(ReducedLoss):
    """See :func:`iou_balanced_smooth_l1`; the IoU is that of ``pred`` and ``target``.

    For any head that computes its loss on boxes (x1, y1, x2, y2): anchor-based and RoI heads do so with
    ``reg_decoded_bbox=True``.

    Args:
        delta: >= 0; 0 is plain smooth L1.
        beta: where the loss turns from square to linear, in pixels; 0 for L1.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: ``delta`` or ``beta`` < 0.
    """

    def __init__(
        self, delta: float = 1.5, beta: float = 1.0, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        if not (is_number(delta, 0) and is_number(beta, 0)):
            raise ValueError(f'IoUBalancedSmoothL1Loss: delta and beta must be >= 0, found {delta} and {beta}.')
        self.delta = delta
        self.beta = beta

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None, **kwargs: Any) -> Tensor:
        iou = bbox_overlaps(pred.detach(), target, is_aligned=True)
        return iou_balanced_smooth_l1(pred, target, iou, self.delta, self.beta, weight)

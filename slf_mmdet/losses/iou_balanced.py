r"""IoU-balanced losses (Wu et al., "IoU-balanced Loss Functions for Single-stage Object Detection", 2019).

Positive examples are weighted by the IoU of their predicted box with the object, :math:`\mathrm{IoU}^\eta`. The weights
are constants for the gradient.

For classes they are normalised as in the authors' code, so that the sum of the loss over all positives is unchanged.
For boxes the authors do not normalise, but raise ``loss_weight`` by hand until the first loss is that of smooth L1
(3.049 for RetinaNet). To normalise there as well, in every batch, is ours.
"""

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps, get_box_tensor
from torch import Tensor

from ..utils.checks import is_number, require
from .base import ReducedLoss, match_weight
from .class_scores import checked_labels, one_hot_target, require_several_classes


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
    gamma: float = 0.0,
    alpha: Optional[float] = None,
) -> Tensor:
    r"""Cross-entropy or focal loss with positives weighted by :math:`\mathrm{IoU}^\eta`.

    Args:
        pred: logits ``(N, C)``.
        target: class index ``(N,)``, C (sigmoid) or C - 1 (softmax) for the background.
        iou: ``(N,)`` of the predicted box with its object; not used where the class is background.
        eta: >= 0; 0 is the plain loss.
        use_sigmoid: binary cross-entropies instead of one of softmax.
        weight: per sample or element; see :func:`keep_sum`. It is not applied.
        gamma: >= 0, exponent of the focal loss (Lin et al., ICCV 2017), with ``use_sigmoid``; the authors' focal
            variant has ``gamma=2, alpha=0.25``. 0 is cross-entropy.
        alpha: in [0, 1], weight of the true class in the focal loss, against 1 - alpha of the others; ``None`` for
            equal ones.

    Returns:
        ``(N, C)`` with ``use_sigmoid``, in which only the true class of a positive is weighted, else ``(N,)``.

    Raises:
        ValueError: a class index is out of range, or target and IoU are not one for each sample.
    """
    classes = pred.shape[-1]
    if not target.shape == iou.shape == pred.shape[:-1]:
        raise ValueError(
            f'The target of predictions of shape {tuple(pred.shape)} must be class indices {tuple(pred.shape[:-1])} '
            f'and as many IoUs, found the shapes {tuple(target.shape)} and {tuple(iou.shape)}.'
        )
    target = checked_labels(target, classes + use_sigmoid)
    factor = iou.detach().to(pred.dtype).clamp_min(0) ** eta
    if use_sigmoid:
        y = one_hot_target(target, pred)
        loss = F.binary_cross_entropy_with_logits(pred, y, reduction='none')
        if gamma:
            loss = loss * (gamma * F.logsigmoid((1 - 2 * y) * pred)).exp()  # 1 - p of the right answer
        if alpha is not None:
            loss = loss * (alpha * y + (1 - alpha) * (1 - y))
        is_positive = y.bool()
        factor = factor.unsqueeze(-1)
    else:
        require_several_classes(pred)
        loss = F.cross_entropy(pred, target, reduction='none')
        is_positive = target < classes - 1
    positives = keep_sum(loss.masked_fill(~is_positive, 0), factor.expand_as(loss), weight)
    return torch.where(is_positive, positives, loss)


def iou_balanced_smooth_l1(
    pred: Tensor,
    target: Tensor,
    iou: Tensor,
    delta: float = 1.5,
    beta: float = 1.0,
    weight: Optional[Tensor] = None,
    normalize: bool = True,
) -> Tensor:
    r"""Smooth L1 with boxes weighted by :math:`\mathrm{IoU}^\delta`.

    Args:
        pred: boxes ``(N, 4)``, as such or encoded.
        target: ``(N, 4)``.
        iou: ``(N,)`` of both boxes.
        delta: >= 0; 0 is the plain loss.
        beta: where the loss turns from square to linear, in the unit of ``pred``; 0 for L1.
        weight: per sample or element; see :func:`keep_sum`. It is not applied.
        normalize: keeps the sum of smooth L1, which is ours; ``False`` is the authors' loss.

    Returns:
        ``(N, 4)``.
    """
    loss = F.smooth_l1_loss(pred, target, reduction='none', beta=beta)
    factor = (iou.detach().to(pred.dtype).clamp_min(0) ** delta).unsqueeze(-1).expand_as(loss)
    return keep_sum(loss, factor, weight) if normalize else loss * factor


@MODELS.register_module()
class IoUBalancedClsLoss(ReducedLoss):
    """See :func:`iou_balanced_cls`.

    For the heads of mmdet that pass the IoU to their classification loss in the target ``(labels, IoU)``: GFL, LD and
    RTMDet, instead of their QualityFocalLoss.

    Args:
        eta: >= 0; 0 is plain cross-entropy, or focal loss.
        use_sigmoid: of the head.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.
        gamma: >= 0, exponent of the focal loss, 2 in the authors' focal variant; 0 is cross-entropy.
        alpha: in [0, 1], weight of the true class in the focal loss, 0.25 in the authors' variant; or ``None``.

    Raises:
        ValueError: a setting is out of its range, ``gamma`` or ``alpha`` is given without ``use_sigmoid``, the target
            is not a pair, or a class index is out of range.
    """

    def __init__(
        self,
        eta: float = 1.5,
        use_sigmoid: bool = True,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        gamma: float = 0.0,
        alpha: Optional[float] = None,
    ) -> None:
        super().__init__(reduction, loss_weight)
        owner = type(self).__name__
        require(is_number(eta, 0), owner, 'eta', '>= 0', eta)
        require(is_number(gamma, 0), owner, 'gamma', '>= 0', gamma)
        require(alpha is None or is_number(alpha, 0, 1), owner, 'alpha', 'None or in [0, 1]', alpha)
        focal = gamma != 0 or alpha is not None
        require(use_sigmoid or not focal, owner, 'use_sigmoid', 'True for the focal loss (gamma, alpha)', use_sigmoid)
        self.eta = eta
        self.use_sigmoid = use_sigmoid
        self.gamma = gamma
        self.alpha = alpha

    def unreduced(self, pred: Tensor, target: Tuple[Tensor, Tensor], weight: Optional[Tensor]) -> Tensor:
        if not (isinstance(target, (tuple, list)) and len(target) == 2):
            raise ValueError(
                'IoUBalancedClsLoss: the target must be the pair (labels, IoU), found '
                f'{type(target).__name__}. GFLHead, LDHead and RTMDetHead pass one; other heads do not compute the IoU '
                'before they call this loss.'
            )
        labels, iou = target
        return iou_balanced_cls(pred, labels, iou, self.eta, self.use_sigmoid, weight, self.gamma, self.alpha)


@MODELS.register_module()
class IoUBalancedSmoothL1Loss(ReducedLoss):
    """See :func:`iou_balanced_smooth_l1`; the IoU is that of ``pred`` and ``target``.

    For any head that computes its loss on boxes (x1, y1, x2, y2), as anchor-based and RoI heads do with
    ``reg_decoded_bbox=True``; or, with ``bbox_coder``, on boxes that are encoded as differences from an anchor or a
    proposal. The IoU of two of these does not depend on the anchor. The authors' loss for RetinaNet is
    ``bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=...)`` as of the head, ``beta=0.11, normalize=False,
    loss_weight=3.049``.

    Args:
        delta: >= 0; 0 is plain smooth L1.
        beta: where the loss turns from square to linear, in pixels, or in the unit of encoded boxes; 0 for L1.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.
        normalize: keeps the sum of smooth L1, so that ``loss_weight`` need not be set anew: ours. ``False`` for the
            authors' loss, which is smaller the worse the boxes are.
        bbox_coder: config of the head's ``DeltaXYWHBBoxCoder``, where the loss is on encoded boxes.

    Raises:
        ValueError: a setting is out of its range, the coder is another one or its decoding depends on the anchor's
            size (``add_ctr_clamp``), or the targets are no boxes.
    """

    def __init__(
        self,
        delta: float = 1.5,
        beta: float = 1.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        normalize: bool = True,
        bbox_coder: Optional[dict] = None,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if not (is_number(delta, 0) and is_number(beta, 0)):
            raise ValueError(f'IoUBalancedSmoothL1Loss: delta and beta must be >= 0, found {delta} and {beta}.')
        self.delta = delta
        self.beta = beta
        self.normalize = normalize
        self.bbox_coder: Any = None if bbox_coder is None else TASK_UTILS.build(bbox_coder)
        wanted = 'None or the config of a DeltaXYWHBBoxCoder without add_ctr_clamp'
        right = isinstance(self.bbox_coder, DeltaXYWHBBoxCoder) and not self.bbox_coder.add_ctr_clamp
        hint = 'With another coder set reg_decoded_bbox=True in the head.'
        require(self.bbox_coder is None or right, type(self).__name__, 'bbox_coder', wanted, bbox_coder, hint)
        self._are_boxes = False

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        if target.shape != pred.shape:
            raise ValueError(
                f'IoUBalancedSmoothL1Loss: predictions and targets must both be boxes (N, 4), found '
                f'{tuple(pred.shape)} and {tuple(target.shape)}.'
            )
        boxes, others = pred.detach(), target.to(pred.dtype)
        if self.bbox_coder is None:
            self._check_boxes(others, weight)
        else:
            boxes, others = self._decoded(boxes), self._decoded(others)
        iou = bbox_overlaps(boxes, others, is_aligned=True)
        return iou_balanced_smooth_l1(pred, target, iou, self.delta, self.beta, weight, self.normalize)

    def _decoded(self, encoded: Tensor) -> Tensor:
        """Boxes in the unit of their anchors, from the centres of these."""
        anchor = encoded.new_tensor([-0.5, -0.5, 0.5, 0.5])
        return get_box_tensor(self.bbox_coder.decode(anchor.expand_as(encoded), encoded))

    def _check_boxes(self, target: Tensor, weight: Optional[Tensor]) -> None:
        """Checks the first targets: to read them may wait for the device."""
        if self._are_boxes or len(target) == 0:
            return
        counted = target if weight is None else target[match_weight(weight, target[:, 0]) > 0]
        wrong = counted[(counted[:, 2:] < counted[:, :2]).any(1)]
        if len(wrong):
            found = [round(value, 3) for value in wrong[0].tolist()]
            raise ValueError(
                f'IoUBalancedSmoothL1Loss: the targets must be boxes (x1, y1, x2, y2), found {found}. For encoded '
                'boxes set reg_decoded_bbox=True in the head, or give this loss the bbox_coder of the head.'
            )
        self._are_boxes = len(counted) > 0

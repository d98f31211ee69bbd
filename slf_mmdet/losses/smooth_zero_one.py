"""The smooth 0-1 loss (Nguyen & Sanner, "Algorithms for Direct 0-1 Loss Optimization", ICML 2013)."""

from typing import Optional

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number
from .base import ReducedLoss
from .class_scores import one_hot_target, require_several_classes


def smooth_zero_one(pred: Tensor, target: Tensor, precision: float = 1.0, use_sigmoid: bool = False) -> Tensor:
    r""":math:`\sigma(-K m)` of the margin m; for K to infinity 1 where the class is wrong and 0 where it is right.

    The paper is about two classes, :math:`m = t f(x)` with :math:`t = \pm 1`; with ``use_sigmoid`` each class is such a
    problem. With more than two exclusive classes m is the logit of the true class minus the largest of the others,
    whose sign decides the same: for two classes both agree. Where the target is a distribution, as from label smoothing
    or mixed images, the loss is its expectation, :math:`\sum_c y_c \sigma(-K m_c)`.

    Args:
        pred: logits ``(N, C)``, C >= 2 without ``use_sigmoid``.
        target: class index ``(N,)`` or probabilities ``(N, C)``.
        precision: K > 0.
        use_sigmoid: C problems of two classes instead of one of C classes.

    Returns:
        ``(N, C)`` with ``use_sigmoid``, else ``(N,)``; all in (0, 1).

    Raises:
        ValueError: the target does not fit, or softmax of one class.

    Examples:
        >>> smooth_zero_one(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))  # margin 2 - 1
        tensor([0.2689])
    """
    y = one_hot_target(target, pred, background=use_sigmoid)
    if use_sigmoid:
        return y * torch.sigmoid(-precision * pred) + (1 - y) * torch.sigmoid(precision * pred)
    require_several_classes(pred)
    (first, second), best = pred.topk(2).values.unbind(-1), pred.argmax(-1)
    is_best = F.one_hot(best, pred.shape[-1]).bool()
    largest_other = torch.where(is_best, second.unsqueeze(-1), first.unsqueeze(-1))
    return (y * torch.sigmoid(-precision * (pred - largest_other))).sum(-1)


@MODELS.register_module()
class SmoothZeroOneLoss(ReducedLoss):
    """See :func:`smooth_zero_one`.

    Args:
        precision: K > 0. Large values approach the 0-1 loss, but only samples near the boundary have a gradient.
        use_sigmoid: C problems of two classes instead of one of C classes.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: ``precision`` <= 0.
    """

    def __init__(
        self, precision: float = 1.0, use_sigmoid: bool = False, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        if not (is_number(precision) and precision > 0):
            raise ValueError(f"SmoothZeroOneLoss: precision (the paper's K) must be > 0, found {precision}.")
        self.precision = precision
        self.use_sigmoid = use_sigmoid

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return smooth_zero_one(pred, target, self.precision, self.use_sigmoid)

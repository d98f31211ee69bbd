"""The smooth 0-1 loss (Nguyen & Sanner, "Algorithms for Direct 0-1 Loss Optimization", ICML 2013)."""

from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number
from .base import ReducedLoss
from .class_scores import one_hot_target


def smooth_zero_one(pred: Tensor, target: Tensor, precision: float = 1.0, use_sigmoid: bool = False) -> Tensor:
    r""":math:`\sigma(-K m)` of the margin m; for K to infinity 1 where the class is wrong and 0 where it is right.

    The paper is about two classes, :math:`m = t f(x)` with :math:`t = \pm 1`; with ``use_sigmoid`` each class is such a
    problem. With more than two exclusive classes m is the logit of the true class minus the largest of the others,
    whose sign decides the same: for two classes both agree.

    Args:
        pred: logits ``(N, C)``, C >= 2 without ``use_sigmoid``.
        target: class index ``(N,)`` or one-hot ``(N, C)``.
        precision: K > 0.
        use_sigmoid: C problems of two classes instead of one of C classes.

    Returns:
        ``(N, C)`` with ``use_sigmoid``, else ``(N,)``; all in (0, 1).

    Examples:
        >>> smooth_zero_one(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))  # margin 2 - 1
        tensor([0.2689])
    """
    y = one_hot_target(target, pred)
    if use_sigmoid:
        return torch.sigmoid(-precision * (2 * y - 1) * pred)
    is_true = y.bool()
    margin = (y * pred).sum(-1) - pred.masked_fill(is_true, -torch.inf).amax(-1)
    return torch.sigmoid(-precision * margin)


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

    def unreduced(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        return smooth_zero_one(pred, target, self.precision, self.use_sigmoid)

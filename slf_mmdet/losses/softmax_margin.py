"""Softmax-margin: cross-entropy in which the wrong choices are raised by their cost (Gimpel and Smith, NAACL 2010)."""

from typing import Optional

import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number, require
from .base import ReducedLoss
from .class_scores import exclusive_target


def softmax_margin(scores: Tensor, costs: Tensor, target: Tensor) -> Tensor:
    r""":math:`-s_y + \log \sum_c \exp(s_c + \Delta_c)`, an upper bound of the expected cost less that of y.

    Args:
        scores: :math:`s`, ``(N, C)``: of classes, or of candidate translations of a sentence.
        costs: :math:`\Delta \ge 0`, ``(N, C)``, that of the right choice 0.
        target: y, index ``(N,)``, or probabilities ``(N, C)``.

    Returns:
        ``(N,)``.

    Examples:
        With a cost of 0 it is cross-entropy; here log(1 + e):

        >>> import torch
        >>> softmax_margin(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
        tensor([1.3133])
    """
    raised = F.cross_entropy(scores + costs, target, reduction='none')
    if target.shape == costs.shape:
        return raised + (target * costs).sum(-1)
    return raised + costs.gather(1, target.unsqueeze(1)).squeeze(1)


@MODELS.register_module()
class SoftmaxMarginLoss(ReducedLoss):
    r"""See :func:`softmax_margin`, with the cost :math:`\Delta_c = m (1 - y_c)`: every wrong class costs the same.

    Over the tokens of a sentence it is the softmax-margin of the whole one with the Hamming distance as its cost, where
    the score of a token depends on the right tokens before it.

    Args:
        margin: m >= 0; 0 is cross-entropy.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: ``margin`` is out of its range.
    """

    def __init__(self, margin: float = 1.0, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        require(is_number(margin, 0), type(self).__name__, 'margin', 'a finite number >= 0', margin)
        self.margin = float(margin)

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        target = exclusive_target(target, pred)
        soft = target.shape == pred.shape
        wrong = 1 - (target if soft else F.one_hot(target, pred.shape[1]).to(pred.dtype))
        return softmax_margin(pred, self.margin * wrong, target)

r"""The five interchangeable classification losses of the Stochastic Loss Function (Liu & Lai, AAAI 2020).

All of them compare class probabilities :math:`p` (softmax or sigmoid of the logits) with the one-hot class :math:`y`.
The paper only names them; the formulas are those of Keras, whose names it uses. Losses that Keras averages over classes
are returned per class here, and reduced as the head requires: the mean over all elements is Keras's value; the sum
divided by ``avg_factor``, as usual in mmdet, is C times that, of the scale of the other losses.
"""

from typing import Optional

import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .base import ReducedLoss
from .class_scores import log_probabilities, one_hot_target, probabilities


def mean_squared_error(pred: Tensor, target: Tensor, use_sigmoid: bool = False) -> Tensor:
    r""":math:`(p_i - y_i)^2` of each class.

    Args:
        pred: logits ``(N, C)``.
        target: class index ``(N,)`` or one-hot ``(N, C)``, see :func:`~slf_mmdet.losses.class_scores.one_hot_target`.
        use_sigmoid: probabilities by sigmoid instead of softmax.

    Returns:
        ``(N, C)``.

    Examples:
        >>> import torch
        >>> mean_squared_error(torch.zeros(1, 2), torch.tensor([0]))
        tensor([[0.2500, 0.2500]])
    """
    return (probabilities(pred, use_sigmoid) - one_hot_target(target, pred)).square()


def mean_absolute_error(pred: Tensor, target: Tensor, use_sigmoid: bool = False) -> Tensor:
    r""":math:`|p_i - y_i|` of each class, ``(N, C)``; arguments as in :func:`mean_squared_error`."""
    return (probabilities(pred, use_sigmoid) - one_hot_target(target, pred)).abs()


def categorical_hinge(pred: Tensor, target: Tensor, use_sigmoid: bool = False) -> Tensor:
    r""":math:`\max(0, 1 + \max_i (1 - y_i) p_i - \sum_i y_i p_i)` of each sample, ``(N,)``.

    Arguments as in :func:`mean_squared_error`.
    """
    p, y = probabilities(pred, use_sigmoid), one_hot_target(target, pred)
    return (1 + ((1 - y) * p).amax(-1) - (y * p).sum(-1)).relu()


def cosine_proximity(pred: Tensor, target: Tensor, use_sigmoid: bool = False) -> Tensor:
    r""":math:`1 - \cos(p, y)` of each sample, ``(N,)``; 1 where y is all zeros, which is mmdet's background.

    Keras has :math:`-\cos`. The constant changes no gradient of the model, but keeps the loss >= 0: a decision network
    would always prefer a negative one. Only the proportions of p count, which are taken from its logarithm: they are
    right where all p are too small to be squared. Arguments as in :func:`mean_squared_error`.

    Raises:
        ValueError: the predictions are of one class: their cosine is 1 whatever they are.
    """
    if pred.shape[-1] < 2:
        raise ValueError(
            f'Cosine proximity needs at least two classes, found predictions of shape {tuple(pred.shape)}: with one it '
            'does not depend on the prediction. Take another loss, or two columns (background, object) with softmax.'
        )
    log_p, _ = log_probabilities(pred, use_sigmoid)
    proportions = (log_p - log_p.detach().amax(-1, keepdim=True)).exp()
    return 1 - F.cosine_similarity(proportions, one_hot_target(target, pred), dim=-1)


def probability_cross_entropy(pred: Tensor, target: Tensor, use_sigmoid: bool = False) -> Tensor:
    r"""Binary cross-entropy :math:`-y_i \log p_i - (1 - y_i) \log(1 - p_i)` of each class, ``(N, C)``.

    Arguments as in :func:`mean_squared_error`.
    """
    log_p, log_rest = log_probabilities(pred, use_sigmoid)
    y = one_hot_target(target, pred)
    return -(y * log_p + (1 - y) * log_rest)


class ProbabilityLoss(ReducedLoss):
    """A loss between class probabilities and classes.

    Args:
        use_sigmoid: probabilities by sigmoid instead of softmax.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.
    """

    def __init__(self, use_sigmoid: bool = False, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = use_sigmoid


@MODELS.register_module()
class ClassMSELoss(ProbabilityLoss):
    """See :func:`mean_squared_error`."""

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return mean_squared_error(pred, target, self.use_sigmoid)


@MODELS.register_module()
class ClassMAELoss(ProbabilityLoss):
    """See :func:`mean_absolute_error`."""

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return mean_absolute_error(pred, target, self.use_sigmoid)


@MODELS.register_module()
class CategoricalHingeLoss(ProbabilityLoss):
    """See :func:`categorical_hinge`."""

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return categorical_hinge(pred, target, self.use_sigmoid)


@MODELS.register_module()
class CosineProximityLoss(ProbabilityLoss):
    """See :func:`cosine_proximity`."""

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return cosine_proximity(pred, target, self.use_sigmoid)


@MODELS.register_module()
class ProbabilityCrossEntropyLoss(ProbabilityLoss):
    """See :func:`probability_cross_entropy`."""

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return probability_cross_entropy(pred, target, self.use_sigmoid)

r"""The bi-tempered logistic loss (Amid et al., "Robust Bi-Tempered Logistic Loss Based on Bregman Divergences", 2019).

:math:`\log_t x = (x^{1-t} - 1) / (1 - t)` and its inverse :math:`\exp_t` replace logarithm and exponential: t1 < 1
bounds the loss of an outlier, t2 > 1 gives softmax a heavy tail, so that mislabelled examples far from the boundary
have less influence. With t1 = t2 = 1 it is cross-entropy.

Everything is computed from :math:`\log p`, which stays finite where p underflows, and derivatives of any order are the
analytic ones of the converged normalisation.
"""

from typing import Any, Optional

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number
from .base import ReducedLoss
from .class_scores import one_hot_target, require_several_classes

_NEWTON_STEPS = 12  # converges quadratically; 6 to 8 reach fp32 for t in [0.2, 10] and C up to 10,000


def tempered_log_softmax(activations: Tensor, t: float) -> Tensor:
    r""":math:`\log p` of the tempered softmax :math:`p_i = \exp_t(a_i - \lambda)`, normalised over the last dimension.

    :math:`\lambda` is found by Newton's method on :math:`S(\lambda)^{1-t} = 1`, S the sum of all p. That function is
    concave (t > 1) or convex (t < 1), so from :math:`\lambda = \max a`, where S >= 1, no step overshoots.

    Args:
        activations: ``(..., C)``.
        t: temperature > 0. With t < 1 a probability can be 0, its logarithm minus infinity.
    """
    return activations.log_softmax(-1) if t == 1 else _TemperedLogSoftmax.apply(activations, t)


class _TemperedLogSoftmax(torch.autograd.Function):
    r"""Differentiated implicitly: :math:`dp_i = p_i^t (da_i - \sum_j e_j da_j)` with :math:`e_j \propto p_j^t`."""

    @staticmethod
    def forward(ctx: Any, activations: Tensor, t: float) -> Tensor:
        shifted = activations - activations.amax(-1, keepdim=True)
        offset = torch.zeros_like(shifted[..., :1])
        for _ in range(_NEWTON_STEPS):
            log_p = _log_exp_t(shifted - offset, t)
            log_sum = log_p.logsumexp(-1, keepdim=True)
            log_sum_of_powers = (t * log_p).logsumexp(-1, keepdim=True)
            tempered_log_of_sum = torch.expm1((1 - t) * log_sum) / (1 - t)
            offset = offset + tempered_log_of_sum * (t * log_sum - log_sum_of_powers).exp()
        log_p = _log_exp_t(shifted - offset, t)
        ctx.save_for_backward(log_p)
        ctx.t = t
        return log_p

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (log_p,) = ctx.saved_tensors
        # A probability of 0 stays 0 when the activations change a little
        is_zero = log_p == -torch.inf
        grad = grad.masked_fill(is_zero, 0) * ((ctx.t - 1) * log_p.masked_fill(is_zero, 0)).exp()
        return grad - _escort(log_p, ctx.t) * grad.sum(-1, keepdim=True), None


def _log_exp_t(x: Tensor, t: float) -> Tensor:
    return torch.log1p(((1 - t) * x).clamp_min(-1)) / (1 - t)


def _escort(log_p: Tensor, t: float) -> Tensor:
    """Proportional to p to the power of t."""
    return (t * log_p).softmax(-1)


class _BiTempered(torch.autograd.Function):
    r"""Value and gradient of the loss.

    With :math:`d_i = (p_i - y_i) p_i^{t_2 - t_1}` the gradient is :math:`d_i - e_i \sum_j d_j`, where
    :math:`e_i \propto p_i^{t_2}`. No negative power of p is left in it.
    """

    @staticmethod
    def forward(ctx: Any, activations: Tensor, target: Tensor, t1: float, t2: float) -> Tensor:
        log_p = tempered_log_softmax(activations, t2)
        ctx.save_for_backward(activations, log_p, target)
        ctx.temperatures = t1, t2
        divergence = _times_log_t(target, target.log(), t1) - _times_log_t(target, log_p, t1)
        return (divergence - (target.pow(2 - t1) - ((2 - t1) * log_p).exp()) / (2 - t1)).sum(-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        activations, log_p, target = ctx.saved_tensors
        t1, t2 = ctx.temperatures
        if torch.is_grad_enabled():  # create_graph=True: as a function of the activations, for the next order
            log_p = tempered_log_softmax(activations, t2)
        difference = (log_p.exp() - target) * _power(log_p, t2 - t1)
        difference = difference - _escort(log_p, t2) * difference.sum(-1, keepdim=True)
        return grad.unsqueeze(-1) * difference, None, None, None


def _power(log_p: Tensor, exponent: float) -> Tensor:
    """Raises p to the exponent; 0 ** 0 is 1."""
    return (exponent * log_p).exp() if exponent else torch.ones_like(log_p)


def _times_log_t(factor: Tensor, log_x: Tensor, t: float) -> Tensor:
    """Factor times log_t(x), 0 where the factor is 0."""
    log_t = log_x if t == 1 else torch.expm1((1 - t) * log_x) / (1 - t)
    return torch.where(factor > 0, factor * log_t, torch.zeros_like(factor))


def bi_tempered(pred: Tensor, target: Tensor, t1: float = 0.8, t2: float = 1.2, label_smoothing: float = 0.0) -> Tensor:
    r"""The loss of exclusive classes, the Bregman divergence of y and p.

    .. math:: \sum_i y_i (\log_{t_1} y_i - \log_{t_1} p_i) - (y_i^{2-t_1} - p_i^{2-t_1}) / (2 - t_1)

    Args:
        pred: logits ``(..., C)``, C >= 2.
        target: class index ``(...)`` or probabilities ``(..., C)`` that sum to 1; no gradient flows to them.
        t1: in [0, 1].
        t2: >= t1 and > 0.
        label_smoothing: share s in [0, 1) of the target that goes to the other classes in equal parts, as in the
            authors' code: :math:`y_i (1 - s C / (C - 1)) + s / (C - 1)`.

    Returns:
        ``(...)``, >= 0, bounded by 1 / (1 - t1) where t1 < 1 and the target is one-hot.

    Raises:
        ValueError: the target does not fit, or the predictions are of one class.

    Examples:
        >>> bi_tempered(torch.tensor([[100.0, 0.0]]), torch.tensor([1]), t1=0.5)  # the loss of an outlier is at most 2
        tensor([1.9990])
    """
    require_several_classes(pred)
    return _BiTempered.apply(pred, _smoothed(one_hot_target(target, pred, background=False), label_smoothing), t1, t2)


def binary_bi_tempered(
    pred: Tensor, target: Tensor, t1: float = 0.8, t2: float = 1.2, label_smoothing: float = 0.0
) -> Tensor:
    """The loss of independent classes, each of two outcomes with the logits ``pred`` and 0.

    Args:
        pred: logits of any shape.
        target: of the same shape, in [0, 1]; or class index, of logits ``(..., C)``.
        t1: in [0, 1].
        t2: >= t1 and > 0.
        label_smoothing: see :func:`bi_tempered`; here of two outcomes.

    Returns:
        One value per logit.

    Raises:
        ValueError: the target does not fit.
    """
    logits = torch.stack([pred, torch.zeros_like(pred)], dim=-1)
    target = one_hot_target(target, pred)
    outcomes = torch.stack([target, 1 - target], dim=-1)
    return _BiTempered.apply(logits, _smoothed(outcomes, label_smoothing), t1, t2)


def _smoothed(target: Tensor, share: float) -> Tensor:
    others = target.shape[-1] - 1
    return target * (1 - share * (others + 1) / others) + share / others


@MODELS.register_module()
class BiTemperedLoss(ReducedLoss):
    """See :func:`bi_tempered` and, with ``use_sigmoid``, :func:`binary_bi_tempered`.

    Args:
        t1: in [0, 1]; the lower, the smaller the loss of an outlier.
        t2: >= t1 and > 0; the higher, the heavier the tail.
        use_sigmoid: independent classes, as in heads that leave the background without a channel.
        label_smoothing: in [0, 1).
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: a temperature or ``label_smoothing`` is out of its range.
    """

    def __init__(
        self,
        t1: float = 0.8,
        t2: float = 1.2,
        use_sigmoid: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if not is_number(t1, 0, 1):
            raise ValueError(f'BiTemperedLoss: t1 must be in [0, 1], found {t1}. 1 is the ordinary logarithm.')
        if not (is_number(t2, t1) and t2 > 0):
            raise ValueError(f'BiTemperedLoss: t2 must be > 0 and >= t1={t1}, found {t2}. 1 is the ordinary softmax.')
        if not (is_number(label_smoothing, 0) and label_smoothing < 1):
            raise ValueError(f'BiTemperedLoss: label_smoothing must be in [0, 1), found {label_smoothing!r}.')
        self.t1 = float(t1)
        self.t2 = float(t2)
        self.use_sigmoid = use_sigmoid
        self.label_smoothing = float(label_smoothing)

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        if self.use_sigmoid:
            return binary_bi_tempered(pred, target, self.t1, self.t2, self.label_smoothing)
        return bi_tempered(pred, target, self.t1, self.t2, self.label_smoothing)

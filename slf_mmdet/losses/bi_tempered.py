r"""The bi-tempered logistic loss (Amid et al., "Robust Bi-Tempered Logistic Loss Based on Bregman Divergences", 2019).

:math:`\log_t x = (x^{1-t} - 1) / (1 - t)` and its inverse :math:`\exp_t` replace logarithm and exponential: t1 < 1
bounds the loss of an outlier, t2 > 1 gives softmax a heavy tail, so that mislabelled examples far from the boundary
have less influence. With t1 = t2 = 1 it is cross-entropy.

Everything is computed from :math:`\log p`, which stays finite where p underflows, and the gradient is the analytic one
of the converged normalisation.
"""

from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..utils.checks import is_number
from .base import ReducedLoss
from .class_scores import one_hot_target

_NEWTON_STEPS = 12  # converges quadratically; 6 to 8 reach fp32 for t in [0.2, 10] and C up to 10,000


def tempered_log_softmax(activations: Tensor, t: float) -> Tensor:
    r""":math:`\log p` of the tempered softmax :math:`p_i = \exp_t(a_i - \lambda)`, normalised over the last dimension.

    :math:`\lambda` is found by Newton's method on :math:`S(\lambda)^{1-t} = 1`, S the sum of all p. That function is
    concave (t > 1) or convex (t < 1), so from :math:`\lambda = \max a`, where S >= 1, no step overshoots. Not
    differentiable through :math:`\lambda`: :func:`bi_tempered` has the gradient.

    Args:
        activations: ``(..., C)``.
        t: temperature > 0. With t < 1 a probability can be 0, its logarithm minus infinity.
    """
    if t == 1:
        return activations.log_softmax(-1)
    shifted = activations - activations.amax(-1, keepdim=True)
    offset = torch.zeros_like(shifted[..., :1])
    for _ in range(_NEWTON_STEPS):
        log_p = _log_exp_t(shifted - offset, t)
        log_sum = log_p.logsumexp(-1, keepdim=True)
        log_sum_of_powers = (t * log_p).logsumexp(-1, keepdim=True)
        tempered_log_of_sum = torch.expm1((1 - t) * log_sum) / (1 - t)
        offset = offset + tempered_log_of_sum * (t * log_sum - log_sum_of_powers).exp()
    return _log_exp_t(shifted - offset, t)


def _log_exp_t(x: Tensor, t: float) -> Tensor:
    return torch.log1p(((1 - t) * x).clamp_min(-1)) / (1 - t)


class _BiTempered(torch.autograd.Function):
    r"""Value and gradient of the loss.

    With :math:`d_i = (p_i - y_i) p_i^{t_2 - t_1}` the gradient is :math:`d_i - e_i \sum_j d_j`, where
    :math:`e_i \propto p_i^{t_2}`. No negative power of p is left in it.
    """

    @staticmethod
    def forward(ctx: Any, activations: Tensor, target: Tensor, t1: float, t2: float) -> Tensor:
        log_p = tempered_log_softmax(activations, t2)
        ctx.save_for_backward(log_p, target)
        ctx.temperatures = t1, t2
        divergence = _times_log_t(target, target.log(), t1) - _times_log_t(target, log_p, t1)
        return (divergence - (target.pow(2 - t1) - ((2 - t1) * log_p).exp()) / (2 - t1)).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        log_p, target = ctx.saved_tensors
        t1, t2 = ctx.temperatures
        difference = (log_p.exp() - target) * _power(log_p, t2 - t1)
        escort = (t2 * log_p).softmax(-1)
        return grad.unsqueeze(-1) * (difference - escort * difference.sum(-1, keepdim=True)), None, None, None


def _power(log_p: Tensor, exponent: float) -> Tensor:
    """Raises p to the exponent; 0 ** 0 is 1."""
    return (exponent * log_p).exp() if exponent else torch.ones_like(log_p)


def _times_log_t(factor: Tensor, log_x: Tensor, t: float) -> Tensor:
    """Factor times log_t(x), 0 where the factor is 0."""
    log_t = log_x if t == 1 else torch.expm1((1 - t) * log_x) / (1 - t)
    return torch.where(factor > 0, factor * log_t, torch.zeros_like(factor))


def bi_tempered(pred: Tensor, target: Tensor, t1: float = 0.8, t2: float = 1.2) -> Tensor:
    r"""The loss of exclusive classes, the Bregman divergence of y and p.

    .. math:: \sum_i y_i (\log_{t_1} y_i - \log_{t_1} p_i) - (y_i^{2-t_1} - p_i^{2-t_1}) / (2 - t_1)

    Args:
        pred: logits ``(..., C)``.
        target: class index ``(...)`` or probabilities ``(..., C)`` that sum to 1; no gradient flows to them.
        t1: in [0, 1].
        t2: >= t1 and > 0.

    Returns:
        ``(...)``, >= 0, bounded by 1 / (1 - t1) where t1 < 1 and the target is one-hot.

    Examples:
        >>> bi_tempered(torch.tensor([[100.0, 0.0]]), torch.tensor([1]), t1=0.5)  # the loss of an outlier is at most 2
        tensor([1.9990])
    """
    return _BiTempered.apply(pred, one_hot_target(target, pred), t1, t2)


def binary_bi_tempered(pred: Tensor, target: Tensor, t1: float = 0.8, t2: float = 1.2) -> Tensor:
    """The loss of independent classes, each of two outcomes with the logits ``pred`` and 0.

    Args:
        pred: logits of any shape.
        target: of the same shape, in [0, 1].
        t1: in [0, 1].
        t2: >= t1 and > 0.

    Returns:
        One value per logit.
    """
    logits = torch.stack([pred, torch.zeros_like(pred)], dim=-1)
    target = target.to(pred.dtype)
    return _BiTempered.apply(logits, torch.stack([target, 1 - target], dim=-1), t1, t2)


@MODELS.register_module()
class BiTemperedLoss(ReducedLoss):
    """See :func:`bi_tempered` and, with ``use_sigmoid``, :func:`binary_bi_tempered`.

    Args:
        t1: in [0, 1]; the lower, the smaller the loss of an outlier.
        t2: >= t1 and > 0; the higher, the heavier the tail.
        use_sigmoid: independent classes, as in heads that leave the background without a channel.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: a temperature is out of its range.
    """

    def __init__(
        self,
        t1: float = 0.8,
        t2: float = 1.2,
        use_sigmoid: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if not is_number(t1, 0, 1):
            raise ValueError(f'BiTemperedLoss: t1 must be in [0, 1], found {t1}. 1 is the ordinary logarithm.')
        if not (is_number(t2, t1) and t2 > 0):
            raise ValueError(f'BiTemperedLoss: t2 must be > 0 and >= t1={t1}, found {t2}. 1 is the ordinary softmax.')
        self.t1 = float(t1)
        self.t2 = float(t2)
        self.use_sigmoid = use_sigmoid

    def unreduced(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        if self.use_sigmoid:
            return binary_bi_tempered(pred, one_hot_target(target, pred), self.t1, self.t2)
        return bi_tempered(pred, target, self.t1, self.t2)

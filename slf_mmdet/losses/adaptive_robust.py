r"""The general and adaptive robust loss (Barron, CVPR 2019).

One formula whose shape :math:`\alpha` runs from squared error (2) over Charbonnier (1), Cauchy (0) and Geman-McClure
(-2) to Welsch (minus infinity), and whose scale c is where it departs from the parabola. As the negative logarithm of a
density, it can learn both: a small :math:`\alpha` tolerates outliers, but has a larger normalisation constant.
"""

import math
from functools import cache
from typing import Optional, Union

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..utils.checks import is_number
from .base import ReducedLoss
from .class_scores import one_hot_target, probabilities

_NEAR_2 = 0.01  # distance of alpha from 2 below which the formula is rearranged
_SERIES_BELOW = 0.1


def general_robust(residual: Tensor, alpha: Union[float, Tensor], scale: Union[float, Tensor] = 1.0) -> Tensor:
    r"""The loss :math:`\rho(x, \alpha, c)` of any shape, Eq. 8, and its limits for :math:`\alpha` of 0, 2 and infinity.

    .. math:: \rho=\frac{b}{\alpha} \left[\left(\frac{(x/c)^2}{b} + 1\right)^{\alpha/2} - 1\right], \ b = |\alpha - 2|

    Value and derivatives are exact up to rounding for every :math:`\alpha`; only at 2 itself, where the derivative with
    respect to :math:`\alpha` is infinite, it is a large number instead.

    Args:
        residual: x, any shape.
        alpha: shape; any number, infinities included, or a tensor that broadcasts with the residual.
        scale: c > 0, number or tensor.

    Returns:
        :math:`\rho` >= 0 of each element; differentiable in all three.

    Examples:
        >>> general_robust(torch.tensor(2.0), alpha=2)  # 2 ** 2 / 2
        tensor(2.)
    """
    square = (residual / scale).square()
    alpha = alpha.to(square) if isinstance(alpha, Tensor) else square.new_full((), alpha)
    eps = torch.finfo(square.dtype).eps
    is_infinite = alpha.isinf()
    sign = torch.where(is_infinite, alpha.sign(), 1)
    at_infinity = sign * torch.expm1(sign * torch.where(is_infinite, square, 0) / 2)  # Welsch, and its counterpart

    alpha = alpha.clamp(-1 / eps, 1 / eps)  # what is not chosen below must be finite, too, or its gradient is nan
    excess = alpha - 2
    distance = excess.abs()
    log_ratio = torch.log1p(square / distance.clamp_min(eps))
    anywhere = distance * log_ratio / 2 * _expm1_over(alpha * log_ratio / 2)
    # No division by the distance
    is_near_2 = distance < _NEAR_2
    excess = torch.where(is_near_2, excess, 0)
    near_2 = (square + (square + excess.abs()) * torch.expm1(excess / 2 * log_ratio)) / (2 + excess)
    return torch.where(is_infinite, at_infinity, torch.where(is_near_2, near_2, anywhere))


def _expm1_over(x: Tensor) -> Tensor:
    """(exp(x) - 1) / x; the derivative of its series has no difference of large numbers near 0."""
    is_small = x.abs() < _SERIES_BELOW
    small, large = torch.where(is_small, x, 0), torch.where(is_small, 1, x)
    series = torch.ones_like(x)
    for number in range(10, 1, -1):
        series = 1 + small / number * series
    return torch.where(is_small, series, torch.expm1(large) / large)


def log_partition(alpha: Tensor) -> Tensor:
    r""":math:`\log Z(\alpha)`, :math:`Z = \int \exp(-\rho(x, \alpha, 1))\,dx` (Eq. 17), for :math:`\alpha` in [0, 2].

    The paper tabulates it. Here it is the trapezoidal rule in :math:`t`, :math:`x = \sinh t`, so its derivative comes
    from autograd. Against adaptive quadrature the error is below 1e-8 in double and 4e-7 in single precision, that of
    the derivative 2e-6 and 4e-5.
    """
    nodes, log_weights = (torch.from_numpy(values).to(alpha) for values in _sinh_rule())
    return (log_weights - general_robust(nodes, alpha.unsqueeze(-1))).logsumexp(-1)


@cache
def _sinh_rule(step: float = 0.1, end: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x >= 0 and logarithms of weights for integrals of even functions over the real line."""
    t = np.arange(0, end + step / 2, step)
    log_weights = np.log(2 * step * np.cosh(t))
    log_weights[0] -= math.log(2)
    return np.sinh(t), log_weights


def robust_nll(residual: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
    r""":math:`\rho(x, \alpha, c) + \log c + \log Z(\alpha)`, Eq. 16-18: can be negative where c is small.

    Args:
        residual: x, ``(..., D)``.
        alpha: ``(D,)`` in [0, 2].
        scale: c, ``(D,)``, > 0.
    """
    return general_robust(residual, alpha, scale) + scale.log() + log_partition(alpha)


@MODELS.register_module()
class AdaptiveRobustLoss(ReducedLoss):
    r"""The robust loss of ``pred - target``, with a fixed or a learnt shape and scale for each channel.

    A learnt one is kept in its range by a sigmoid (shape) or a softplus (scale), and the loss is then the negative
    log-likelihood :func:`robust_nll`; with both fixed it is :func:`general_robust`.

    Args:
        num_channels: D, size of the last dimension of ``pred``: number of classes, or 4 for boxes.
        alpha: fixed shape; ``None`` learns one of each channel.
        scale: fixed scale c > 0; ``None`` learns one of each channel.
        alpha_range: open interval within [0, 2] of a learnt shape, which starts in the middle.
        initial_scale: initial value of a learnt scale.
        min_scale: lower bound of a learnt scale.
        activation: ``'none'`` for regression; ``'softmax'`` or ``'sigmoid'`` for the residuals of class probabilities,
            whose target may be a class index.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: a setting is out of its range, ``pred`` has another number of channels, or the target does not fit.
    """

    def __init__(
        self,
        num_channels: int,
        alpha: Optional[float] = None,
        scale: Optional[float] = None,
        alpha_range: tuple[float, float] = (0.001, 1.999),
        initial_scale: float = 1.0,
        min_scale: float = 1e-5,
        activation: str = 'none',
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if activation not in ('none', 'softmax', 'sigmoid'):
            raise ValueError(
                f"AdaptiveRobustLoss: activation must be 'none', 'softmax' or 'sigmoid', found {activation!r}."
            )
        if alpha is not None and not is_number(alpha, -math.inf, math.inf):
            raise ValueError(
                f'AdaptiveRobustLoss: alpha must be None or a number, infinities included, found {alpha!r}.'
            )
        if scale is not None and not scale > 0:
            raise ValueError(f'AdaptiveRobustLoss: scale must be > 0, found {scale}.')
        if not initial_scale > min_scale > 0:
            raise ValueError(
                f'AdaptiveRobustLoss: initial_scale must be > min_scale > 0, found {initial_scale} and {min_scale}.'
            )
        low, high = alpha_range
        if not 0 <= low < high <= 2:
            raise ValueError(
                f'AdaptiveRobustLoss: alpha_range must be an interval in [0, 2], found {tuple(alpha_range)}. The '
                'density exists for these shapes only.'
            )
        if scale is None and alpha is not None and not 0 <= alpha <= 2:
            raise ValueError(
                f'AdaptiveRobustLoss: alpha must be in [0, 2] with a learnt scale, found {alpha}. The density exists '
                'for these shapes only; give the scale too.'
            )
        self.num_channels = num_channels
        self.alpha_range = (float(low), float(high))
        self.min_scale = min_scale
        self.activation = activation
        self.use_sigmoid = activation == 'sigmoid'
        self.fixed_alpha, self.fixed_scale = alpha, scale
        if alpha is None:
            self.alpha_logit = nn.Parameter(torch.zeros(num_channels))
        if scale is None:
            start = initial_scale - min_scale + math.log(-math.expm1(min_scale - initial_scale))  # inverse of softplus
            self.scale_logit = nn.Parameter(torch.full((num_channels,), start))

    @property
    def alpha(self) -> Tensor:
        """Shape of each channel, ``(D,)``."""
        if self.fixed_alpha is not None:
            return torch.full((self.num_channels,), float(self.fixed_alpha))
        low, high = self.alpha_range
        return low + (high - low) * self.alpha_logit.sigmoid()

    @property
    def scale(self) -> Tensor:
        """Scale of each channel, ``(D,)``."""
        if self.fixed_scale is not None:
            return torch.full((self.num_channels,), float(self.fixed_scale))
        return self.min_scale + F.softplus(self.scale_logit)

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        if pred.shape[-1] != self.num_channels:
            raise ValueError(
                f'AdaptiveRobustLoss: made for num_channels={self.num_channels}, found predictions of shape '
                f'{tuple(pred.shape)}.'
            )
        if self.activation != 'none':
            target = one_hot_target(target, pred)
            pred = probabilities(pred, self.use_sigmoid)
        elif target.shape != pred.shape:
            raise ValueError(
                f'AdaptiveRobustLoss: the target must have the shape of the prediction, {tuple(pred.shape)}, found '
                f"{tuple(target.shape)}. For class indices set activation='softmax' or 'sigmoid'."
            )
        if self.fixed_alpha is not None and self.fixed_scale is not None:
            return general_robust(pred - target, self.fixed_alpha, self.fixed_scale)
        return robust_nll(pred - target, self.alpha.to(pred), self.scale.to(pred))

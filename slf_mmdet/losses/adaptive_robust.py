r"""The general and adaptive robust loss (Barron, CVPR 2019).

One formula whose shape :math:`\alpha` runs from squared error (2) over Charbonnier (1), Cauchy (0) and Geman-McClure
(-2) to Welsch (minus infinity), and whose scale c is where it departs from the parabola. As the negative logarithm of a
density, it can learn both: a small :math:`\alpha` tolerates outliers, but has a larger normalisation constant.
"""

import math
from functools import cache
from typing import Any, Optional, Union

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from .base import ReducedLoss
from .class_scores import one_hot_target, probabilities

_NODES = 128


def general_robust(residual: Tensor, alpha: Union[float, Tensor], scale: Union[float, Tensor] = 1.0) -> Tensor:
    r"""The loss :math:`\rho(x, \alpha, c)` of any shape, Eq. 8.

    .. math:: \rho=\frac{b}{\alpha} \left[\left(\frac{(x/c)^2}{b} + 1\right)^{\alpha/2} - 1\right], \ b = |\alpha - 2|

    Args:
        residual: x, any shape.
        alpha: shape; any number, infinities included, or a tensor that broadcasts with the residual.
        scale: c > 0, number or tensor.

    Returns:
        :math:`\rho` >= 0 of each element; differentiable in all three, :math:`\alpha` near 0 and 2 included.

    Examples:
        >>> general_robust(torch.tensor(2.0), alpha=2)  # 2 ** 2 / 2
        tensor(2.)
    """
    square = (residual / scale).square()
    if not isinstance(alpha, Tensor):
        if alpha == 2:
            return square / 2
        if alpha == 0:
            return torch.log1p(square / 2)
        if alpha == -math.inf:
            return -torch.expm1(-square / 2)
        if alpha == math.inf:
            return torch.expm1(square / 2)
    # A learnt alpha can pass through 0 and 2: at this distance the formula agrees with its limits to that order
    tiny = math.sqrt(torch.finfo(residual.dtype).eps)
    alpha = torch.as_tensor(alpha, dtype=residual.dtype, device=residual.device)
    distance = (alpha - 2).abs().clamp_min(tiny)
    exponent = torch.where(alpha.abs() < tiny, alpha + 2 * tiny, alpha)
    return distance / exponent * torch.expm1(exponent / 2 * torch.log1p(square / distance))


def log_partition(alpha: Tensor) -> Tensor:
    r""":math:`\log Z(\alpha)`, :math:`Z = \int \exp(-\rho(x, \alpha, 1))\,dx` (Eq. 17), for :math:`\alpha` >= 0.

    The paper tabulates it. Here it is a Gauss-Legendre quadrature in :math:`u`, :math:`x = \tan u`, so its derivative
    comes from autograd; 128 nodes have an error below 1e-4 for :math:`\alpha` in [0, 2].
    """
    nodes, weights = (torch.from_numpy(values).to(alpha) for values in _gauss_legendre(_NODES))
    angle = nodes * (math.pi / 2)
    log_density = -general_robust(angle.tan(), alpha.unsqueeze(-1))
    return (log_density + (weights * (math.pi / 2)).log() - 2 * angle.cos().log()).logsumexp(-1)


@cache
def _gauss_legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)


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
        ValueError: a setting is out of its range, or ``pred`` has another number of channels.
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
            start = math.log(math.expm1(initial_scale - min_scale))  # inverse of softplus
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

    def unreduced(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        if pred.shape[-1] != self.num_channels:
            raise ValueError(
                f'AdaptiveRobustLoss: made for num_channels={self.num_channels}, found predictions of shape '
                f'{tuple(pred.shape)}.'
            )
        if self.activation != 'none':
            target = one_hot_target(target, pred)
            pred = probabilities(pred, self.use_sigmoid)
        if self.fixed_alpha is not None and self.fixed_scale is not None:
            return general_robust(pred - target, self.fixed_alpha, self.fixed_scale)
        return robust_nll(pred - target, self.alpha.to(pred), self.scale.to(pred))

"""GradNorm: the gradients of all parts shall be of the same size, larger for parts that lag behind."""

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.buffer_adam import BufferAdam
from ..utils.checks import is_number
from ..utils.numerics import clamp_min_eps, ratio
from .base import BalancerOutput, LossBalancer
from .part_gradients import part_gradients
from .step import Step


@MODELS.register_module()
class GradNormBalancer(LossBalancer):
    r"""Learns weights that bring the norms of the parts' gradients together.

    Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks", ICML 2018.
    With :math:`w_i = \lambda_i v_i` and the norm :math:`G_i = v_i \|\nabla \ell_i\|` of the gradient with respect to
    what all parts share, the :math:`v_i` minimise

    .. math:: \sum_i \lambda_i \left| G_i - \bar G\, r_i^\alpha \right|, \qquad
              r_i = \frac{\ell_i / \ell_i(0)}{\frac 1 W \sum_j \lambda_j \ell_j / \ell_j(0)}, \qquad
              \bar G = \frac 1 W \sum_j \lambda_j G_j

    with the target :math:`\bar G\, r_i^\alpha` taken as a constant. After each step of an Adam of its own they are
    scaled so that the weights sum to :math:`W = \sum_i \lambda_i` again. They start at 1, the base weights
    :math:`\lambda`; where all :math:`G_i` are equal, part i has :math:`\lambda_i` times the gradient of a part of base
    weight 1. :math:`\ell_i(0)` is the first loss that is > 0. Unlike the paper it descends on :math:`\log v_i`: the
    weights cannot become negative, and a step changes small ones as much, in percent, as large ones.

    The gradients are taken with respect to the ``shared_parameters`` of the step: the weight of the last shared layer,
    as in the paper. That needs one backward pass of each part down to there; several processes exchange the gradients.

    Args:
        alpha: how much more parts that lag behind get, >= 0; 0 makes all gradients equal.
        lr: learning rate >= 0 of the :math:`\log v_i`.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range, or the step offers no ``shared_parameters``.
    """

    def __init__(self, alpha: float = 1.5, lr: float = 0.025, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        if not is_number(alpha, 0):
            raise ValueError(f'GradNormBalancer: alpha must be a finite number >= 0, found {alpha!r}.')
        self.alpha = float(alpha)
        size = len(self.parts)
        self.counted = self.base_weights.nonzero().flatten().tolist()  # the others are not even differentiated
        self.register_buffer('log_multipliers', torch.zeros(size))
        self.register_buffer('first', torch.zeros(size))
        self.log_multipliers: Tensor
        self.first: Tensor
        self.adam = BufferAdam(size, lr)

    def compute_weights(self, step: Step) -> BalancerOutput:
        weights = self.base_weights * self.log_multipliers.exp()
        if self.training and torch.is_grad_enabled():
            parameters = step.shared_parameters(self._name, 'FAMOBalancer needs none.')
            found = part_gradients([step.parts[index] for index in self.counted], parameters)
            norms = torch.zeros_like(self.base_weights)
            norms[self.counted] = step.average(found).norm(dim=1).to(norms)
            self._learn(self.values(step), norms)
        return BalancerOutput(weights)

    def _learn(self, values: Tensor, norms: Tensor) -> None:
        share = self.base_weights / self.total_weight
        first = torch.where(self.first > 0, self.first, values)
        progress = ratio(values, first)
        progress = progress / clamp_min_eps((share * progress).sum())
        scaled = self.log_multipliers.exp() * norms
        target = (share * scaled).sum() * progress**self.alpha
        self.adam.descend(self.log_multipliers, self.base_weights * (scaled - target).sign() * scaled)
        self.log_multipliers -= (share * self.log_multipliers.exp()).sum().log()
        self.log_multipliers.masked_fill_(share == 0, 0)  # nothing holds those of parts that do not count
        self.remember(values, first=first)

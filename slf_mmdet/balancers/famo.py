"""FAMO: all parts shall fall at the same relative speed, learnt from their values alone."""

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.buffer_adam import BufferAdam
from ..utils.interval_means import IntervalMeans
from ..utils.numerics import SMALLEST_LOSS, clamp_min_eps, log
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class FAMOBalancer(LossBalancer):
    r"""Learns logits :math:`\xi_i` with an Adam of its own, so that the logarithms of all parts fall equally fast.

    Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023:

    .. math:: w_i = W\, c\, \frac{z_i}{\ell_i}, \qquad z_i = \frac{\lambda_i e^{\xi_i}}{\sum_j \lambda_j e^{\xi_j}},
              \qquad c = \Big( \sum_i \frac{z_i}{\ell_i} \Big)^{-1}

    The gradient of :math:`\xi` is :math:`J^\top \delta` with :math:`J = \partial z / \partial \xi` and
    :math:`\delta_i = \log \ell_i^{before} - \log \ell_i^{after}`: a part that fell fast loses weight. The paper takes
    both from the same batch, at the cost of a second forward pass. Here "after" is the loss of the next step, so
    :math:`\delta` also holds the difference between batches; ``interval`` averages it out.

    It starts at :math:`\xi = 0`, where each part takes the share :math:`\lambda_i / W` of the objective: the base
    weights :math:`\lambda` where all parts are equal, not at the first step. The weights sum to
    :math:`W = \sum_i \lambda_i`. A part that is 0 or less keeps its base weight in that step.

    Gradients accumulated over small batches are not those of one batch, as each has weights of its own. There
    ``interval`` should be a multiple of ``accumulative_counts``.

    Args:
        lr: learning rate >= 0 of the logits.
        weight_decay: >= 0 of the logits, which draws them back to the start. (The paper's code has 1e-5.)
        interval: iterations >= 1 over which losses are averaged before they are compared.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, lr: float = 0.025, weight_decay: float = 1e-3, interval: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        size = len(self.parts)
        self.register_buffer('logits', torch.zeros(size))
        self.logits: Tensor
        self.adam = BufferAdam(size, lr, weight_decay)
        self.means = IntervalMeans(size, interval)

    def compute_weights(self, step: Step) -> BalancerOutput:
        values = self.values(step)
        if self.training and self.means.update(values) and self.means.complete:
            self._learn(log(self.means.before) - log(self.means.last))
        present = values > 0
        shares = self._shares() * present / values.clamp_min(SMALLEST_LOSS)
        counted = (self.base_weights * present).sum()
        weights = counted * shares / clamp_min_eps(shares.sum())
        return BalancerOutput(torch.where(present, weights, self.base_weights))

    def _shares(self) -> Tensor:
        """Z of the class docstring."""
        return self.softmax_around_base(self.logits) / self.total_weight

    def _learn(self, delta: Tensor) -> None:
        shares = self._shares()
        self.adam.descend(self.logits, shares * (delta - (shares * delta).sum()))

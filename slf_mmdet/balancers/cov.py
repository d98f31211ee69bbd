"""CoV-Weighting: parts whose loss still varies weigh more."""

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.numerics import clamp_min_eps, ratio
from ..utils.running_mean import RunningMean
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class CoVBalancer(LossBalancer):
    r"""Weighs by the coefficient of variation of each part's history, made for one task with a loss of several parts.

    Groenendijk et al., "Multi-Loss Weighting with Coefficient of Variations", WACV 2021. With the loss ratio
    :math:`q_i^{(t)} = \ell_i^{(t)} / \mu(\ell_i^{(1)}, \dots, \ell_i^{(t-1)})`, where :math:`\mu` is a mean,

    .. math:: w_i = W \frac{\lambda_i c_i}{\sum_j \lambda_j c_j}, \qquad
              c_i = \frac{\sigma(q_i^{(1)}, \dots, q_i^{(t)})}{\mu(q_i^{(1)}, \dots, q_i^{(t)})}

    All means and the standard deviation :math:`\sigma` are over the whole history (Welford's method). The weights start
    at the base weights :math:`\lambda` and stay there as long as no part varies; they always sum to
    :math:`W = \sum_i \lambda_i`. The first ratio is 1.

    The authors' code (https://github.com/rickgroen/cov-weighting) weighs step t with the statistics up to step t - 1,
    and the first two steps equally: these are the weights of the formula, one step later. It adds 1e-8 to the variance,
    and can take exponential means, which are not here.

    Args:
        kwargs: see :class:`LossBalancer`.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        size = len(self.parts)
        self.losses = RunningMean(size)
        self.ratios = RunningMean(size)
        self.register_buffer('squared_deviation', torch.zeros(size))
        self.squared_deviation: Tensor

    def compute_weights(self, step: Step) -> BalancerOutput:
        if self.training:
            self._update(self.values(step))
        deviation = (self.squared_deviation / self.ratios.count.clamp_min(1)).sqrt()
        return BalancerOutput(self._normalized(deviation / clamp_min_eps(self.ratios.mean)))

    def _update(self, values: Tensor) -> None:
        current, mean_before = ratio(values, self.losses.mean), self.ratios.mean
        self.losses.update(values)
        self.ratios.update(current, also_finite=values)
        # Welford (1962)
        added = (current - mean_before) * (current - self.ratios.mean)
        self.remember(values, squared_deviation=self.squared_deviation + added)

    def _normalized(self, variation: Tensor) -> Tensor:
        counted = self.base_weights * variation
        total = counted.sum()
        weights = self.total_weight * counted / clamp_min_eps(total)
        return torch.where(total > 0, weights, self.base_weights)

"""The log transform: the sum of the logarithms of the parts."""

import torch
from mmdet.registry import MODELS

from ..utils.numerics import SMALLEST_LOSS, clamp_min_eps
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class LogBalancer(LossBalancer):
    r"""Follows the gradient of :math:`\sum_i \lambda_i \log \ell_i`, which does not depend on the units of the parts.

    The loss-balancing half of Lin et al., "Dual-Balancing for Multi-Task Learning", 2023. The length of the gradient is
    kept at that of a loss:

    .. math:: w_i = \lambda_i \frac{\bar\ell}{\ell_i}, \qquad
              \bar\ell = \frac 1 W \sum_i \lambda_i \ell_i, \qquad W = \sum_i \lambda_i

    with :math:`\bar\ell` and :math:`\ell_i` in the weights taken as constants. So the total in the log is the one under
    the base weights :math:`\lambda`, of which each part takes the same share :math:`\lambda_i / W` in every step. The
    weights are the base weights where all parts are equal, not at the first step. A part that is 0 or less has no
    logarithm: it keeps its base weight in that step and is left out of the mean.

    Gradients accumulated over small batches are not those of one batch, as each has weights of its own. Arguments and
    errors are those of :class:`LossBalancer`.
    """

    def compute_weights(self, step: Step) -> BalancerOutput:
        values = self.values(step)
        present = values > 0
        counted = self.base_weights * present
        mean = (counted * values).sum() / clamp_min_eps(counted.sum())
        weights = self.base_weights * mean / values.clamp_min(SMALLEST_LOSS)
        return BalancerOutput(torch.where(present, weights, self.base_weights))

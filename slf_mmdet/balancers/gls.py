"""Geometric Loss Strategy: the geometric mean of the parts."""

import torch
from mmdet.registry import MODELS

from ..utils.numerics import clamp_min_eps, log
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class GLSBalancer(LossBalancer):
    r"""Minimises the geometric mean of the parts, which does not depend on their units.

    Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task
    Learning", CVPR Workshops 2019:

    .. math:: L = W\, G, \qquad G = \Big( \prod_i \ell_i^{\lambda_i} \Big)^{1 / W}, \qquad W = \sum_i \lambda_i

    Its gradient is that of the weights :math:`w_i = \lambda_i G / \ell_i`, so each part takes the share
    :math:`\lambda_i / W` of the objective. They are the base weights :math:`\lambda` where all parts are equal, not at
    the first step. A part that is 0 or less has no logarithm: it keeps its base weight in that step and is left out of
    the product.

    Gradients accumulated over small batches are not those of one batch, as each has a geometric mean of its own.
    Arguments and errors are those of :class:`LossBalancer`.
    """

    def compute_weights(self, step: Step) -> BalancerOutput:
        values = self.values(step)
        present = values > 0
        counted = self.base_weights * present
        share = counted / clamp_min_eps(counted.sum())
        log_mean = (share * log(values)).sum()
        weights = self.base_weights * (log_mean - log(values)).exp()
        return BalancerOutput(torch.where(present, weights, self.base_weights))

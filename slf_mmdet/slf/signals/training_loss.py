"""The weighted training loss itself, as in Algorithm 1 of the paper."""

from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...balancers.step import Step
from ...utils.numerics import clamp_min_eps
from .base import Signal


@TASK_UTILS.register_module()
class TrainingLoss(Signal):
    r"""Costs of the parts by their size, :math:`c_i = \ell_i / \bar L`: what is small gets weight.

    Liu & Lai, AAAI 2020, Eq. 11. :math:`\bar L`, the mean loss of the batch at the prior's weights, takes the unit out;
    a negative part counts by its absolute value there, one that is inf or nan not at all. With :math:`p = softmax(\mu)`
    the gradient of the undivided loss is :math:`p_i (\ell_i - \sum_j p_j \ell_j)`: without a prior all weight ends on
    the smallest part, and with the default ``kl_weight`` nearly all. 20 holds the weights of a detector.

    For candidates of one part, whose sizes can be compared, see :class:`~slf_mmdet.losses.StochasticLoss`.

    Args:
        num_parts: see :class:`Signal`.
    """

    def costs(self, step: Step, prior_weights: Tensor, weights: Tensor) -> Tensor:
        losses = step.losses.detach()
        sizes = losses.masked_fill(~losses.isfinite(), 0).abs()
        return losses / clamp_min_eps(step.average((prior_weights * sizes).sum(-1).mean()))

"""Uncertainty weighting: every part has a learnt variance, and weighs its inverse."""

import math

import torch
from mmdet.registry import MODELS
from torch import nn

from ..utils.checks import is_number
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class UncertaintyBalancer(LossBalancer):
    r"""Learns a log-variance :math:`s_i` of each part along with the detector, and weighs by the inverse variance.

    Kendall et al., "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018. It minimises

    .. math:: \sum_i \lambda_i \left( e^{-s_i} \ell_i + s_i \right), \qquad w_i = \lambda_i e^{-s_i}

    which is twice the paper's :math:`\frac 1 2 e^{-s_i} \ell_i + \frac 1 2 s_i`, so that training starts with
    :math:`s_i = 0` at the base weights :math:`\lambda`. Its optimum is :math:`e^{s_i} = \ell_i`. Only the gradient of
    the :math:`s_i` enters, not their value: losses in the log are weighted losses, which do not become negative.

    The :math:`s_i` are parameters that the detector's optimizer learns; ``paramwise_cfg`` sets their learning rate
    (weight decay draws them to the base weights). Gradients accumulate over small batches as in one batch.

    Args:
        bound: largest :math:`|s_i|`, > 0: weights stay within :math:`\lambda_i e^{\pm bound}`. ``inf`` for none.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: ``bound`` is not > 0.
    """

    def __init__(self, bound: float = 2.0, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        if not (is_number(bound, high=math.inf) and bound > 0):
            raise ValueError(f'UncertaintyBalancer: bound, the largest |s|, must be > 0, found {bound!r}.')
        self.bound = float(bound)
        self.log_variances = nn.Parameter(torch.zeros(len(self.parts)))

    def compute_weights(self, step: Step) -> BalancerOutput:
        if self.training:
            # The parameter itself is put back: clamped in the graph it would have no gradient to return with.
            with torch.no_grad():
                self.log_variances.clamp_(-self.bound, self.bound)
        weights = self.base_weights * (-self.log_variances).exp()
        return BalancerOutput(weights, aux_loss=(self.base_weights * self.log_variances).sum())

"""IMTL-L: every part has a learnt scale that brings the scaled parts to the same size."""

import torch
from mmdet.registry import MODELS
from torch import nn

from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class IMTLLBalancer(LossBalancer):
    r"""Learns a log-scale :math:`s_i` of each part along with the detector.

    The loss-balancing half of Liu et al., "Towards Impartial Multi-Task Learning", ICLR 2021. It minimises

    .. math:: \sum_i \lambda_i \left( e^{s_i} \ell_i - s_i \right), \qquad w_i = \lambda_i e^{s_i}

    from :math:`s_i = 0`, the base weights :math:`\lambda`. Its optimum is :math:`e^{s_i} \ell_i = 1`. Only the gradient
    of the :math:`s_i` alone enters, not their value. With the sign of :math:`s_i` turned this is
    :class:`~slf_mmdet.balancers.UncertaintyBalancer` without its bound.

    The :math:`s_i` are parameters that the detector's optimizer learns; ``paramwise_cfg`` sets their learning rate.
    Gradients accumulate over small batches as in one batch.

    Args:
        kwargs: see :class:`LossBalancer`.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.log_scales = nn.Parameter(torch.zeros(len(self.parts)))

    def compute_weights(self, step: Step) -> BalancerOutput:
        weights = self.base_weights * self.log_scales.exp()
        return BalancerOutput(weights, aux_loss=-(self.base_weights * self.log_scales).sum())

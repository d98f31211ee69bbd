"""Soft optimal uncertainty weighting: a softmax of the inverse losses."""

import torch
from mmdet.registry import MODELS

from ..utils.checks import is_number, require
from ..utils.numerics import SMALLEST_LOSS
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class UWSOBalancer(LossBalancer):
    r"""Weighs by a softmax of the inverse losses: uncertainty weighting with the optimal uncertainties put in.

    Kirchdorfer et al., "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning" (UW-SO), arXiv 2408.07985:

    .. math:: w_i = W \frac{\lambda_i \exp(1 / (T \ell_i))}{\sum_j \lambda_j \exp(1 / (T \ell_j))}

    with the losses taken as constants. The weights always sum to :math:`W = \sum_i \lambda_i`. Unlike most methods here
    it depends on the unit of the losses: the paper tunes T for each data set. A large T gives the base weights. A part
    that is 0 or less keeps its base weight in that step.

    Gradients accumulated over small batches are not those of one batch, as each has weights of its own.

    Args:
        temperature: T > 0.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: ``temperature`` is not a number > 0.
    """

    def __init__(self, temperature: float = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        right = is_number(temperature) and temperature > 0
        require(right, self._name, 'temperature', 'a number > 0', temperature)
        self.temperature = float(temperature)

    def compute_weights(self, step: Step) -> BalancerOutput:
        values = self.values(step)
        present = values > 0
        scores = 1 / (self.temperature * values.clamp_min(SMALLEST_LOSS))
        shares = self.softmax_around_base(scores.masked_fill(~present, torch.finfo(scores.dtype).min))
        counted = (self.base_weights * present).sum() / self.total_weight
        return BalancerOutput(torch.where(present, counted * shares, self.base_weights))

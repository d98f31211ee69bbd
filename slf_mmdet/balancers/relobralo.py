"""ReLoBRaLo: relative loss balancing with random lookback."""

from typing import Optional

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number
from ..utils.numerics import ratio
from ..utils.state import StepCounter, StepGenerator
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class ReLoBRaLoBalancer(LossBalancer):
    r"""Weighs by how far each part fell since the last step and, now and then, since the start of training.

    Bischof & Kraus, "Multi-Objective Loss Balancing for Physics-Informed Deep Learning", 2021:

    .. math:: w(t) = \alpha \left[ \rho\, w(t - 1) + (1 - \rho)\, \hat w(t; 0) \right] + (1 - \alpha)\, \hat w(t; t - 1)

    .. math:: \hat w_i(t; t') = W \frac{\lambda_i e^{r_i / \tau}}{\sum_j \lambda_j e^{r_j / \tau}}, \qquad
              r_i = \ell_i(t) / \ell_i(t')

    with :math:`\rho` drawn from a Bernoulli distribution in every step. The weights start at the base weights
    :math:`\lambda` and always sum to :math:`W = \sum_i \lambda_i`. The loss at the start is the first that is > 0.

    Args:
        alpha: share in [0, 1] of the past; the paper's 0.999 suits losses without the noise of batches as well.
        lookback: mean of :math:`\rho` in [0, 1]; 1 never looks back to the start.
        temperature: :math:`\tau` > 0; large values keep to the base weights.
        seed: of the draws; ``None`` follows the seed of the run. The checkpoint carries it.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        alpha: float = 0.95,
        lookback: float = 0.99,
        temperature: float = 1.0,
        seed: Optional[int] = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        for key, value in (('alpha', alpha), ('lookback', lookback)):
            if not is_number(value, 0, 1):
                raise ValueError(f'ReLoBRaLoBalancer: {key} must be in [0, 1], found {value!r}.')
        if not (is_number(temperature) and temperature > 0):
            raise ValueError(f'ReLoBRaLoBalancer: temperature must be > 0, found {temperature!r}.')
        self.alpha = float(alpha)
        self.lookback = float(lookback)
        self.temperature = float(temperature)
        self.register_buffer('weights', self.base_weights.clone())
        self.register_buffer('first', torch.zeros_like(self.base_weights))
        self.register_buffer('previous', torch.zeros_like(self.base_weights))
        self.weights: Tensor
        self.first: Tensor
        self.previous: Tensor
        self.counter = StepCounter()
        self.generator = StepGenerator(seed, self._name)

    def compute_weights(self, step: Step) -> BalancerOutput:
        values = self.values(step)
        generator = self.generator.at(self.counter.value, values.device)
        keeps = torch.rand((), generator=generator, device=values.device) < self.lookback
        first = torch.where(self.first > 0, self.first, values)
        past = torch.where(keeps, self.weights, self._relative(values, first))
        weights = self.alpha * past + (1 - self.alpha) * self._relative(values, self.previous)
        self.remember(values, weights=weights, first=first, previous=values)
        if self.training:
            self.counter.advance()
        return BalancerOutput(weights)

    def _relative(self, values: Tensor, reference: Tensor) -> Tensor:
        return self.softmax_around_base(ratio(values, reference) / self.temperature)

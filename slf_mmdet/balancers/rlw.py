"""Random Loss Weighting: the litmus test that a learnt weighting has to pass."""

from typing import Optional

import torch
from mmdet.registry import MODELS

from ..utils.state import StepCounter, StepGenerator
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class RLWBalancer(LossBalancer):
    r"""Draws the weights anew in every step: :math:`w_i = \lambda_i\, n\, softmax(z)_i`, :math:`z \sim N(0, I)`.

    Lin et al., "Reasonable Effectiveness of Random Weighting", TMLR 2022. The factor n keeps the expected weights at
    the base weights :math:`\lambda`.

    Args:
        seed: of the draws; ``None`` follows the seed of the run. The checkpoint carries it.
        kwargs: see :class:`LossBalancer`.
    """

    def __init__(self, seed: Optional[int] = None, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.counter = StepCounter()
        self.generator = StepGenerator(seed, self._name)

    def compute_weights(self, step: Step) -> BalancerOutput:
        generator = self.generator.at(self.counter.value, step.losses.device)
        if self.training:
            self.counter.advance()
        noise = torch.randn(len(self.parts), generator=generator, device=step.losses.device, dtype=step.losses.dtype)
        return BalancerOutput(self.base_weights.to(step.losses.dtype) * len(self.parts) * noise.softmax(0))

"""Weights that follow a schedule written in the config."""

import math
from typing import Mapping, Union

import torch
from mmdet.registry import MODELS

from ..utils.state import ScheduledValue, StepCounter
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class ScheduledBalancer(LossBalancer):
    r"""Multiplies base weights by factors that follow mmengine's parameter schedulers: :math:`w_i = \lambda_i f_i(t)`.

    Args:
        schedules: part name -> :math:`f_i`: a number for a constant, or ``dict(value=..., schedulers=[...])`` as in
            :class:`~slf_mmdet.utils.state.ScheduledValue`, t in iterations. Parts left out keep their base weight.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: ``schedules`` names an unknown part, or a factor is negative or not finite (when it gets there).
        TypeError: a schedule is neither a number nor such a dict.

    Examples:
        The class weight falls from 2 to 0.5 over the first 1000 iterations:

        >>> falling = dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.25, end=1001)
        >>> schedules = dict(cls=dict(value=2.0, schedulers=[falling]))
        >>> balancer = ScheduledBalancer(schedules, base_weights=dict(box=5.0, cls=1.0))
    """

    def __init__(self, schedules: Mapping[str, Union[float, dict]], **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        unknown = sorted(set(schedules) - set(self.parts))
        if unknown:
            raise ValueError(f'ScheduledBalancer: schedules names {unknown}, but the parts are {list(self.parts)}.')
        self.factors = {
            name: ScheduledValue(value, f'{self._name}: schedules[{name!r}]') for name, value in schedules.items()
        }
        self.counter = StepCounter()

    def compute_weights(self, step: Step) -> BalancerOutput:
        iteration = self.counter.value
        if self.training:
            self.counter.advance()
        factors = torch.tensor([self._factor(name, iteration) for name in self.parts])
        return BalancerOutput(self.base_weights * factors.to(self.base_weights, non_blocking=True))

    def collapse_advice(self) -> str:
        return 'Its schedules say so: if that is meant, leave CollapseGuardHook out of custom_hooks.'

    def _factor(self, name: str, iteration: int) -> float:
        factor = self.factors[name].at(iteration) if name in self.factors else 1.0
        if not (math.isfinite(factor) and factor >= 0):
            raise ValueError(
                f'ScheduledBalancer: the factor of {name!r} must be a finite number >= 0, found {factor} at iteration '
                f'{iteration}. Change its value or its schedulers.'
            )
        return factor

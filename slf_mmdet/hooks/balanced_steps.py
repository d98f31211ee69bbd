"""The balancers of a model, and their latest steps: what the hooks that watch them share."""

from typing import Dict, List

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..balancers import BalancedStep, LossBalancer


def find_balancers(runner: Runner) -> Dict[str, LossBalancer]:
    """The balancers of the model that is trained.

    Returns:
        Prefix of their names in the log -> balancer: ``''`` for the only one, else ``'<place in the model>/'``.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    found = {name: module for name, module in model.named_modules() if isinstance(module, LossBalancer)}
    return {f'{name}/' if len(found) > 1 else '': module for name, module in found.items()}


class StepsSoFar:
    """Collects the steps of a balancer where they are, on the device: no step waits for it.

    Args:
        balancer: it is asked for its latest step.
    """

    def __init__(self, balancer: LossBalancer) -> None:
        self.balancer = balancer
        self._steps: List[BalancedStep] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self) -> None:
        """To be called after each iteration."""
        if self.balancer.last is not None:
            self._steps.append(self.balancer.last)

    def take(self) -> BalancedStep:
        """All steps since this was last called, each field ``(steps, n)``; there must be one."""
        steps, self._steps = self._steps, []
        return BalancedStep(*(torch.stack(values) for values in zip(*steps)))

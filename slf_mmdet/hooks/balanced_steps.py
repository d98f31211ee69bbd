"""The balancers of a model and their latest steps, for the hooks that monitor them."""

from typing import Dict, List, Sequence

import torch
from torch import Tensor, nn

from ..balancers import LossBalancer, StepRecord
from ..utils.wrapped import unwrapped


def find_balancers(model: nn.Module) -> Dict[str, LossBalancer]:
    """The balancers of a model, which may be wrapped for distributed training.

    Returns:
        Prefix of their names in the log -> balancer: ``''`` for a single one, else ``'<name of the submodule>_'``.
    """
    found = {name: module for name, module in unwrapped(model).named_modules() if isinstance(module, LossBalancer)}
    return {f'{name}_' if len(found) > 1 else '': module for name, module in found.items()}


class StepsSoFar:
    """Collects the steps of a balancer on the device, without synchronisation.

    Args:
        balancer: whose steps are collected.
    """

    def __init__(self, balancer: LossBalancer) -> None:
        self.balancer = balancer
        self._steps: List[StepRecord] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self) -> None:
        """Adds the latest step; to be called after each iteration."""
        if self.balancer.last is not None:
            self._steps.append(self.balancer.last)

    def state(self) -> List[Tensor]:
        """The steps for a checkpoint: of each field ``(steps, n)``, or nothing where there is none."""
        return [torch.stack(values).cpu() for values in zip(*self._steps)]

    def load(self, state: Sequence[Tensor]) -> None:
        """Takes back what :meth:`state` returned."""
        device = self.balancer.base_weights.device
        self._steps = [StepRecord(*step) for step in zip(*(values.to(device).unbind() for values in state))]

    def take(self) -> StepRecord:
        """The steps since this was last called, each field ``(steps, n)``; there must be one.

        Steps with a value that is not finite are left out.
        """
        steps, self._steps = self._steps, []
        taken = StepRecord(*(torch.stack(values) for values in zip(*steps)))
        finite = torch.stack(taken).isfinite().all(-1).all(0)
        return StepRecord(*(values[finite] for values in taken))

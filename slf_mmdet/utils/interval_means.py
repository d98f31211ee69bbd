"""Means of losses over intervals of training: what methods compare that were made for epochs."""

import torch
from torch import Tensor, nn

from .checks import is_count, require
from .numerics import ratio
from .running_mean import RunningMean
from .state import StepCounter


class IntervalMeans(nn.Module):
    """Means of the losses over intervals of training steps: of the running one and the two before it.

    Steps in which a value is not finite are left out.

    Args:
        size: n, number of values.
        interval: steps >= 1 of an interval.

    Raises:
        ValueError: ``interval`` is not an integer >= 1.
    """

    def __init__(self, size: int, interval: int) -> None:
        super().__init__()
        hint = 'It is a number of iterations.'
        require(is_count(interval), type(self).__name__, 'interval', 'an integer >= 1', interval, hint)
        self.interval = interval
        self.counter = StepCounter()
        self.running = RunningMean(size)
        for name in ('last', 'before'):
            self.register_buffer(name, torch.zeros(size))
        self.last: Tensor
        self.before: Tensor

    @property
    def complete(self) -> bool:
        """Whether two intervals have been completed."""
        return self.counter.value >= 2 * self.interval

    def rates(self) -> Tensor:
        """Mean of the last interval over that of the one before, ``(n,)``; 1 until both are there."""
        return ratio(self.last, self.before) if self.complete else torch.ones_like(self.last)

    def update(self, values: Tensor) -> bool:
        """Takes in the values ``(n,)`` of a step; returns whether it was the last of an interval."""
        self.running.update(values)
        self.counter.advance()
        if self.counter.value % self.interval:
            return False
        self.before.copy_(self.last)
        self.last.copy_(torch.where(self.running.count > 0, self.running.mean, self.last))
        self.running.reset()
        return True

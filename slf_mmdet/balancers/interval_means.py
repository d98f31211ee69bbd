"""Means of losses over intervals of training: what methods compare that were made for epochs."""

import torch
from torch import Tensor, nn

from .safe_math import ratio
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
        if not isinstance(interval, int) or isinstance(interval, bool) or interval < 1:
            raise ValueError(f'interval must be an integer >= 1 (a number of iterations), found {interval!r}.')
        self.interval = interval
        self.counter = StepCounter()
        for name, shape in (('running', size), ('number', ()), ('last', size), ('before', size)):
            self.register_buffer(name, torch.zeros(shape))
        self.running: Tensor
        self.number: Tensor
        self.last: Tensor
        self.before: Tensor

    @property
    def known(self) -> bool:
        """Whether two intervals have been completed."""
        return self.counter.value >= 2 * self.interval

    def rates(self) -> Tensor:
        """Mean of the last interval over that of the one before, ``(n,)``; 1 until both are known."""
        return ratio(self.last, self.before) if self.known else torch.ones_like(self.last)

    def update(self, values: Tensor) -> bool:
        """Takes in the values ``(n,)`` of a step; tells whether it was the last of an interval."""
        finite = values.isfinite().all()
        self.number += finite
        mean = self.running + (values - self.running) / self.number.clamp_min(1)
        self.running.copy_(torch.where(finite, mean, self.running))
        self.counter.advance()
        if self.counter.value % self.interval:
            return False
        self.before.copy_(self.last)
        self.last.copy_(torch.where(self.number > 0, self.running, self.last))
        self.running.zero_()
        self.number.zero_()
        return True

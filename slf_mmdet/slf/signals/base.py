"""What tells the decision network which part deserves weight: a cost of each part, linear in the weights."""

from abc import ABCMeta, abstractmethod
from typing import Dict, Optional, Sequence

import torch
from torch import Tensor, nn

from ...balancers.step import Step
from ...utils.checks import is_count, is_number, require
from ...utils.numerics import clamp_min_eps, mean_over_images
from ...utils.running_mean import RunningMean
from ...utils.state import StepCounter

FIRST_INTERVAL = 10


def interval_at(iteration: int) -> int:
    """Iterations from one measurement of a :class:`ComparingSignal` to the next, by default."""
    return max(FIRST_INTERVAL, iteration // 100)


def measuring_iterations(iterations: int) -> int:
    """How many of the first iterations of a run have a measurement, by default."""
    return sum(iteration % interval_at(iteration) == 0 for iteration in range(iterations))


class Signal(nn.Module, metaclass=ABCMeta):
    r"""Costs of the parts: the decision network minimises :math:`\sum_i w_i c_i` plus its KL penalty.

    Costs are constants: no gradient flows through them into the detector. They have no unit and are about
    :math:`1 / W` each, so that the same ``kl_weight`` means about the same for every signal. Everything that is
    remembered is a buffer.

    Args:
        num_parts: n, which the balancer fills in.
    """

    def __init__(self, num_parts: int) -> None:
        super().__init__()
        self.num_parts = num_parts

    @abstractmethod
    def costs(self, step: Step, prior_weights: Tensor, weights: Tensor) -> Tensor:
        """Costs of the parts in a step.

        Args:
            step: the losses, and what else the detector offers.
            prior_weights: ``(n,)`` weights at the prior, W q.
            weights: ``(n,)`` or ``(N, n)`` that the parts have in this step, detached.

        Returns:
            ``(n,)``, or ``(N, n)`` where each image has its own; detached.

        Raises:
            ValueError: the step does not offer what the signal needs.
        """

    def monitored(self) -> Dict[str, Tensor]:
        """What was measured, for the log: name -> ``(n,)``, a value of each part."""
        return {}

    @property
    def label(self) -> str:
        """How errors name it."""
        return f'the signal {type(self).__name__}'


class RunningMeanSignal(Signal):
    """Costs from the losses of the batch beside their running means.

    Args:
        num_parts: see :class:`Signal`.
        momentum: in [0, 1) of the running means, which include the present batch.

    Raises:
        ValueError: ``momentum`` is out of its range.
    """

    def __init__(self, num_parts: int, momentum: float = 0.98) -> None:
        super().__init__(num_parts)
        right = is_number(momentum, 0) and momentum < 1
        require(right, type(self).__name__, 'momentum', 'in [0, 1)', momentum)
        self.means = RunningMean(num_parts, momentum)

    def costs(self, step: Step, prior_weights: Tensor, weights: Tensor) -> Tensor:
        losses = step.losses.detach()
        if self.training:
            self.means.update(step.average(mean_over_images(losses)))
        return self._costs_beside(losses, clamp_min_eps(self.means.mean), prior_weights.sum())

    @abstractmethod
    def _costs_beside(self, losses: Tensor, means: Tensor, total_weight: Tensor) -> Tensor:
        """Costs from the losses, ``(n,)`` or ``(N, n)``, their means ``(n,)`` > 0, and W."""


class ComparingSignal(Signal):
    r"""Costs from what is measured every few iterations; all measurements of a run count about equally.

    By default every tenth iteration is measured, and from iteration 1,000 on the time in between is 1 % of the
    iterations so far: short runs learn from enough of them, and in long ones they take little of the time.

    Where a measurement of a part takes a pass through the heads of the detector, as in ``BalancedDetector``, one part
    is measured at a time, in turn, so that an iteration with a measurement takes at most about twice as long as one
    without, however many parts there are. What is remembered are measurements of all parts.

    Args:
        num_parts: see :class:`Signal`.
        momentum: :math:`\beta` in [0, 1) of the running means; 0 takes the last measurement alone, 0.98 remembers about
            50, the default 1,000.
        interval: iterations >= 1 from one measurement to the next, in which the costs stay; ``None`` for the larger of
            10 and 1 % of the iterations so far.

    Raises:
        ValueError: a setting is out of its range.
    """

    values_of_a_part = 1  # that a measurement gives

    def __init__(self, num_parts: int, momentum: float = 0.999, interval: Optional[int] = None) -> None:
        super().__init__(num_parts)
        owner = type(self).__name__
        right = is_number(momentum, 0) and momentum < 1
        require(right, owner, 'momentum', 'in [0, 1)', momentum)
        require(interval is None or is_count(interval), owner, 'interval', 'an integer >= 1 or None', interval)
        self.momentum = momentum
        self.interval = interval
        self.counter = StepCounter()
        self.turn = PartsInTurn(num_parts, self.values_of_a_part)

    def costs(self, step: Step, prior_weights: Tensor, weights: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            if self.counter.value % self._interval_now() == 0:
                self._measure(step, prior_weights, weights)
            self.counter.advance()
        return self._costs_now(prior_weights)

    @abstractmethod
    def _measure(self, step: Step, prior_weights: Tensor, weights: Tensor) -> None:
        """Remembers what this iteration says; arguments as of :meth:`costs`."""

    @abstractmethod
    def _costs_now(self, prior_weights: Tensor) -> Tensor:
        """Costs from what is remembered, ``(n,)``."""

    def _interval_now(self) -> int:
        return interval_at(self.counter.value) if self.interval is None else self.interval


class PartsInTurn(nn.Module):
    """Whose turn it is to be measured, and what was measured of the parts before, in buffers.

    Args:
        num_parts: n.
        num_values: m, what a measurement gives of a part.
    """

    def __init__(self, num_parts: int, num_values: int = 1) -> None:
        super().__init__()
        self.num_parts = num_parts
        self.turns = StepCounter()
        self.register_buffer('measured', torch.zeros(num_values, num_parts))
        self.register_buffer('known', torch.zeros(num_parts))  # 1 for those that this round has measured
        self.measured: Tensor
        self.known: Tensor

    def parts(self, at_once: Optional[int]) -> Sequence[int]:
        """Indices of the parts to measure now: all, or the next ``at_once``."""
        if at_once is None or at_once >= self.num_parts:
            return range(self.num_parts)
        first = self.turns.value * at_once % (-(-self.num_parts // at_once) * at_once)
        return range(first, min(first + at_once, self.num_parts))

    def collect(self, which: Sequence[int], values: Tensor) -> Optional[Tensor]:
        """Takes in the measurement of some parts.

        Args:
            which: what :meth:`parts` returned, k indices.
            values: ``(m, k)``, m values of each.

        Returns:
            ``(m, n)`` at the end of a round, else ``None``; nan of parts whose measurement was taken back, as
            ``NonFiniteGuardHook`` does with a step that is skipped.
        """
        if len(which) == self.num_parts:
            return values
        now = slice(which[0], which[-1] + 1)
        self.measured[:, now] = values
        self.known[now] = 1
        self.turns.advance()
        if which[-1] != self.num_parts - 1:
            return None
        found = self.measured.masked_fill(self.known == 0, torch.nan)
        self.known.zero_()
        return found

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        # Checkpoints of earlier versions: without `known`, and `measured` without rows before the first measurement
        for name, buffer in (('measured', self.measured), ('known', self.known)):
            saved = state_dict.get(f'{prefix}{name}')
            if saved is None or saved.shape != buffer.shape:
                state_dict[f'{prefix}{name}'] = torch.zeros_like(buffer)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

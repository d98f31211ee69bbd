"""What the losses share that draw translations from the network."""

from typing import Any

from torch import Tensor

from ....utils.checks import is_count, require
from ....utils.state import StepCounter
from ..seq2seq import Seq2Seq
from .teacher_forcing import TeacherForcing


class SampledLoss(TeacherForcing):
    """A loss that compares translations which the network draws with the reference, after a phase of teacher forcing.

    An untrained network draws nothing that resembles the reference. Distributed training needs
    ``find_unused_parameters=True``, as parameters of the loss wait for the end of that phase.

    Args:
        network, loss: see :class:`TeacherForcing`.
        warmup_iters: iterations of teacher forcing before.
        max_length: of what is drawn, in tokens.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, network: Seq2Seq, warmup_iters: int, max_length: int, **kwargs: Any) -> None:
        super().__init__(network, **kwargs)
        owner = type(self).__name__
        require(is_count(warmup_iters, 0), owner, 'warmup_iters', 'an integer >= 0', warmup_iters)
        require(is_count(max_length), owner, 'max_length', 'an integer >= 1', max_length)
        self.warmup_iters = warmup_iters
        self.max_length = max_length
        self.counter = StepCounter()

    def _next_step(self) -> int:
        """The number of this call among those in training, from 0."""
        step = self.counter.value
        if self.training:
            self.counter.advance()
        return step


def chosen(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """Of log-probabilities ``(..., V)`` those of the tokens ``(...)``."""
    return log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)

"""From the probabilities of the decision network to the weights of a step (Liu & Lai, AAAI 2020, Eq. 9-10)."""

from abc import ABCMeta, abstractmethod
from typing import NamedTuple, Optional, Union

from mmdet.registry import TASK_UTILS
from mmengine import dist
from torch import Tensor, nn

from ..utils.checks import is_count, require
from ..utils.state import ScheduledValue, StepCounter, StepGenerator
from .gumbel_softmax import multiple_gumbel_softmax, stratified_gumbel_softmax


class SelectiveCode(NamedTuple):
    """The decomposition of the weights in Eq. 2 of the paper: ``a * b`` sums to 1 over the parts.

    Attributes:
        a: selective code, 1 for a part that takes part in the loss, else 0.
        b: weighting coefficient.
    """

    a: Tensor
    b: Tensor


class Sampler(nn.Module, metaclass=ABCMeta):
    """Draws weights from log-probabilities, once per training step.

    Those with a generator, which is made anew in every step, cannot be part of a whole graph of ``torch.compile``. The
    losses that have a sampler exclude themselves from compilation, so ``fullgraph=True`` is not for them.
    """

    @abstractmethod
    def forward(self, log_p: Tensor, one_for_all: bool = False) -> Tensor:
        """Draws.

        Args:
            log_p: ``(N, n)`` log-probabilities.
            one_for_all: N = 1, and the weights are those of all images of all processes.

        Returns:
            ``(N, n)``, >= 0, rows sum to 1; with a gradient to ``log_p``.
        """


@TASK_UTILS.register_module()
class Softmax(Sampler):
    """The probabilities themselves: what the samples tend to for large K (the paper's "SLF-Softmax")."""

    def forward(self, log_p: Tensor, one_for_all: bool = False) -> Tensor:
        return log_p.exp()


@TASK_UTILS.register_module()
class MultipleGumbelSoftmax(Sampler):
    r"""K straight-through Gumbel-Softmax samples, averaged (Eq. 9-10), see :func:`multiple_gumbel_softmax`.

    The checkpoint carries the seed and the number of steps, so that a resumed run draws what the uninterrupted one
    would have drawn. In evaluation mode the draw of the next step is repeated.

    Args:
        num_samples: K >= 1. A small K leaves parts of small probability out of most images. A
            ``dict(value=..., schedulers=[...])`` in the vocabulary of mmengine's parameter schedulers, counted in
            iterations, changes it over time; its values are rounded.
        tau: temperature > 0 of the relaxed samples, or a schedule as for ``num_samples``.
        hard: one-hot samples with the gradient of the relaxed ones, as in the paper; ``False`` relaxes them.
        seed: of the samples; ``None`` follows the seed of the run.
        noise: in distributed training, ``'independent'`` in each process, or ``'shared'``: the i-th images of all
            processes get the same noise. ``None`` means independent for weights by image, as it is among the images of
            one process, and shared for one set of weights, which is then equal in all processes.

    Raises:
        ValueError: a setting is out of its range or not among its choices.
    """

    def __init__(
        self,
        num_samples: Union[int, dict] = 30,
        tau: Union[float, dict] = 1.0,
        hard: bool = True,
        seed: Optional[int] = None,
        noise: Optional[str] = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        choices = ['independent', 'shared']
        require(noise is None or noise in choices, owner, 'noise', f'None or one of {choices}', noise)
        first = num_samples.get('value') if isinstance(num_samples, dict) else num_samples
        hint = 'K=1 picks one part, a larger K mixes several.'
        require(is_count(first), owner, "num_samples (the paper's K)", 'an integer >= 1', first, hint)
        require(isinstance(hard, bool), owner, 'hard', 'True or False', hard)
        self.tau = ScheduledValue(tau, f'{owner}: tau')
        hint = 'Towards 0 the relaxed samples become one-hot, large values make them uniform.'
        require(self.tau.start > 0, owner, 'tau', '> 0', self.tau.start, hint)
        self.num_samples = ScheduledValue(num_samples, f'{owner}: num_samples')
        self.hard = hard
        self.noise = noise
        self.counter = StepCounter()
        self.generator = StepGenerator(seed, owner)

    def forward(self, log_p: Tensor, one_for_all: bool = False) -> Tensor:
        step = self.counter.value
        if self.training:
            self.counter.advance()
        shared = one_for_all if self.noise is None else self.noise == 'shared'
        generator = self.generator.at(step, log_p.device, 0 if shared else dist.get_rank())
        num_samples = max(1, round(self.num_samples.at(step)))
        return self._draw(log_p, num_samples, self.tau.at(step), generator)

    def _draw(self, log_p: Tensor, num_samples: int, tau: float, generator: object) -> Tensor:
        return multiple_gumbel_softmax(log_p, num_samples, tau, self.hard, generator)  # type: ignore[arg-type]


@TASK_UTILS.register_module()
class StratifiedGumbelSoftmax(MultipleGumbelSoftmax):
    r"""K samples of the same mean that are stratified instead of independent, see :func:`stratified_gumbel_softmax`.

    Args:
        num_samples: see :class:`MultipleGumbelSoftmax`, as for the others.
        tau: see there.
        seed: see there.
        noise: see there.
    """

    def __init__(
        self,
        num_samples: Union[int, dict] = 30,
        tau: Union[float, dict] = 1.0,
        seed: Optional[int] = None,
        noise: Optional[str] = None,
    ) -> None:
        super().__init__(num_samples, tau, True, seed, noise)

    def _draw(self, log_p: Tensor, num_samples: int, tau: float, generator: object) -> Tensor:
        return stratified_gumbel_softmax(log_p, num_samples, tau, generator)  # type: ignore[arg-type]

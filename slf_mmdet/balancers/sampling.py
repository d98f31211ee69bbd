"""From probabilities to sampled weights, step by step: what a balancer of parts and a loss of candidates share."""

from typing import Optional, Union

from mmengine import dist
from torch import Tensor, nn

from .checks import require
from .gumbel import multiple_gumbel_softmax
from .state import ScheduledValue, StepCounter, StepGenerator


class SampledWeights(nn.Module):
    r"""A module that draws :math:`\hat p` of Liu & Lai, AAAI 2020, Eq. 9-10, once per training step.

    To be inherited from. The checkpoint carries the seed and the number of steps, so that a resumed run draws what the
    uninterrupted one would have drawn. In evaluation mode the draw of the next step is repeated.
    """

    def _init_sampling(
        self,
        num_samples: Union[int, dict],
        tau: Union[float, dict],
        sampler: str,
        hard: bool,
        seed: Optional[int],
        noise: Optional[str] = None,
    ) -> None:
        """Checks the settings and makes the state; to be called in the constructor, after that of ``nn.Module``.

        Args:
            num_samples: K >= 1 samples that are averaged, or a schedule as for ``tau``, whose values are rounded.
            tau: temperature > 0 of the samples, or ``dict(value=..., schedulers=[...])``, see
                :class:`~slf_mmdet.balancers.state.ScheduledValue`.
            sampler: ``'gumbel'``, or ``'softmax'`` for p itself (K and tau have no effect).
            hard: one-hot samples with the gradient of the relaxed ones; ``False`` relaxes them.
            seed: of the samples; ``None`` follows the seed of the run.
            noise: in distributed training, ``'shared'`` by all processes or ``'independent'``; ``None`` shares it where
                one set of weights serves all images.

        Raises:
            ValueError: a setting is out of its range or not among its choices.
        """
        owner, choices = type(self).__name__, ['gumbel', 'softmax']
        require(sampler in choices, owner, 'sampler', f'one of {choices}', sampler)
        choices = ['independent', 'shared']
        require(noise is None or noise in choices, owner, 'noise', f'None or one of {choices}', noise)
        start = num_samples.get('value') if isinstance(num_samples, dict) else num_samples
        require(
            isinstance(start, int) and not isinstance(start, bool) and start >= 1,
            owner,
            "num_samples (the paper's K)",
            'an integer >= 1',
            start,
            'K=1 picks one, a larger K mixes several.',
        )
        self.tau = ScheduledValue(tau)
        hint = 'Towards 0 the relaxed samples become one-hot, large values make them uniform.'
        require(self.tau.start > 0, owner, 'tau', '> 0', self.tau.start, hint)
        self.num_samples = ScheduledValue(num_samples)
        self.sampler = sampler
        self.noise = noise
        self.hard = hard
        self.counter = StepCounter()
        self.generator = StepGenerator(seed)

    def _sample(self, log_p: Tensor, one_for_all: bool = False) -> Tensor:
        """Draws weights ``(N, n)`` that sum to 1 from log-probabilities ``(N, n)``.

        Args:
            log_p: of each sample.
            one_for_all: there is one set of weights for all images of all processes.
        """
        step = self.counter.value
        if self.training:
            self.counter.advance()
        if self.sampler == 'softmax':
            return log_p.exp()
        num_samples = max(1, round(self.num_samples.at(step)))
        shared = one_for_all if self.noise is None else self.noise == 'shared'
        generator = self.generator.at(step, log_p.device, 0 if shared else dist.get_rank())
        return multiple_gumbel_softmax(log_p, num_samples, self.tau.at(step), self.hard, generator)

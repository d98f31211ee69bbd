"""Smooth Tchebycheff scalarization: a soft maximum over the parts, each relative to its own beginnings."""

import torch
from mmdet.registry import MODELS

from ..utils.checks import is_count, is_number, require
from ..utils.numerics import SMALLEST_LOSS, log
from ..utils.running_mean import RunningMean
from ..utils.state import StepCounter
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class STCHBalancer(LossBalancer):
    r"""Minimises a smooth maximum of the parts' logarithms, so that the part which lags behind counts most.

    Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024, in the form its authors
    use for multi-task learning:

    .. math:: \mu \log \sum_i \lambda_i \exp \left( \frac 1 \mu \log \frac{\ell_i}{m_i} \right)

    where :math:`m_i` (the nadir) is the mean of part i during a warm-up with the base weights :math:`\lambda`. With
    :math:`p_i \propto \lambda_i (\ell_i / m_i)^{1 / \mu}`, summing to 1, the gradient is that of the weights
    :math:`p_i / \ell_i`. The length of the gradient is kept at that of a loss:

    .. math:: w_i = \frac{p_i}{\ell_i} \sum_j \lambda_j \ell_j

    so the total in the log is the one under the base weights, and :math:`p_i` is the share of part i. A large
    :math:`\mu` tends to :class:`~slf_mmdet.balancers.LogBalancer`, a small one to the maximum alone. A part that is 0
    or less keeps its base weight in that step.

    The authors' code (https://github.com/Xi-L/STCH) is in epochs and without base weights: for four epochs and the next
    one it minimises :math:`\sum_i \log \ell_i`, where the warm-up here is under the base weights; its nadir is the mean
    over the last of these epochs alone, here over the whole warm-up; and the gradient after it is that of the soft
    maximum times n, here times :math:`\sum_j \lambda_j \ell_j`.

    Gradients accumulated over small batches are not those of one batch, as each has weights of its own.

    Args:
        mu: :math:`\mu` > 0, how smooth the maximum is.
        warmup: iterations >= 1 of the warm-up; the paper's experiments take a few epochs.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, mu: float = 1.0, warmup: int = 500, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        if not (is_number(mu) and mu > 0):
            raise ValueError(f'STCHBalancer: mu must be > 0, found {mu!r}.')
        require(is_count(warmup), self._name, 'warmup', 'an integer >= 1 (a number of iterations)', warmup)
        self.mu = float(mu)
        self.warmup = warmup
        self.counter = StepCounter()
        self.nadir = RunningMean(len(self.parts))

    def compute_weights(self, step: Step) -> BalancerOutput:
        values = self.values(step)
        warm = self.counter.value >= self.warmup
        if self.training:
            self.counter.advance()
        if not warm:
            if self.training:
                self.nadir.update(values)
            return BalancerOutput(self.base_weights.clone())
        nadir = self.nadir.mean
        present = (values > 0) & (nadir > 0)  # one that was 0 in all of the warm-up has no nadir
        scores = (log(values) - log(nadir)) / self.mu
        scores = scores.masked_fill(~present, torch.finfo(scores.dtype).min)
        shares = self.softmax_around_base(scores) / self.total_weight
        total = (self.base_weights * present * values).sum()
        weights = total * shares / values.clamp_min(SMALLEST_LOSS)
        return BalancerOutput(torch.where(present, weights, self.base_weights))

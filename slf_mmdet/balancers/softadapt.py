"""SoftAdapt: weights follow how the parts changed in the last step."""

from mmdet.registry import MODELS
from torch import Tensor

from ..utils.checks import is_number
from ..utils.interval_means import IntervalMeans
from ..utils.numerics import SMALLEST_LOSS
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class SoftAdaptBalancer(LossBalancer):
    r"""Weighs by a softmax of each part's recent change.

    Heydari et al., "SoftAdapt: Techniques for Adaptive Loss Weighting of Neural Networks with Multi-Part Loss
    Functions", 2019:

    .. math:: w_i = W \frac{\lambda_i e^{\beta s_i}}{\sum_j \lambda_j e^{\beta s_j}}

    from the base weights :math:`\lambda`, with one of these changes :math:`s_i` of part i from one interval to the
    next:

    - ``'ratio'``: :math:`\ell_i^{(t)} / \ell_i^{(t-1)}`, which has no unit: how later papers and libraries have it;
    - ``'difference'``: :math:`\ell_i^{(t)} - \ell_i^{(t-1)}`, as in the paper;
    - ``'normalized'``: the differences divided by the sum of their magnitudes, the paper's variant for parts of
      different sizes; see below.

    Unlike :class:`~slf_mmdet.balancers.DWABalancer` it sees the current step.

    The authors' package (https://github.com/dr-aheydari/SoftAdapt) divides by the sum of the differences themselves:
    where most parts fall that is negative, which gives the most weight to the part that falls fastest, and where some
    rise it may be near 0. Their first script divides by the sum of magnitudes, as here. The package estimates the
    changes by finite differences over several values, here between two means; its variant that multiplies by the losses
    is not here.

    Args:
        beta: how strongly the weights react; the paper's is 0.1. Negative values favour the parts that fall fastest.
        rate: ``'ratio'``, ``'difference'`` or ``'normalized'``.
        interval: iterations >= 1 over which losses are averaged before they are compared. Longer ones take out the
            noise of single batches.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range or not among its choices.
    """

    RATES = ('ratio', 'difference', 'normalized')

    def __init__(self, beta: float = 1.0, rate: str = 'ratio', interval: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        if rate not in self.RATES:
            raise ValueError(f'SoftAdaptBalancer: rate must be one of {list(self.RATES)}, found {rate!r}.')
        if not is_number(beta):
            raise ValueError(f'SoftAdaptBalancer: beta must be a finite number, found {beta!r}.')
        self.beta = float(beta)
        self.rate = rate
        self.means = IntervalMeans(len(self.parts), interval)

    def compute_weights(self, step: Step) -> BalancerOutput:
        if self.training:
            self.means.update(self.values(step))
        return BalancerOutput(self.softmax_around_base(self.beta * self._changes()))

    def _changes(self) -> Tensor:
        if self.rate == 'ratio' or not self.means.complete:
            return self.means.rates()
        difference = self.means.last - self.means.before
        if self.rate == 'difference':
            return difference
        return difference / difference.abs().sum().clamp_min(SMALLEST_LOSS)

"""Dynamic Weight Average: parts that fall slowly weigh more."""

from mmdet.registry import MODELS

from ..utils.checks import is_number
from ..utils.interval_means import IntervalMeans
from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class DWABalancer(LossBalancer):
    r"""Weighs by the rate at which each part fell from one interval of training to the next.

    Liu et al., "End-to-End Multi-Task Learning with Attention", CVPR 2019:

    .. math:: w_i = W \frac{\lambda_i e^{r_i / T}}{\sum_j \lambda_j e^{r_j / T}}, \qquad
              r_i = \bar\ell_i^{(t-1)} / \bar\ell_i^{(t-2)}

    where :math:`\bar\ell^{(t)}` is the mean over interval t. The paper's intervals are epochs, which a balancer does
    not see: set ``interval`` to the iterations of one for the same. The weights are the base weights :math:`\lambda`
    for two intervals, and always sum to :math:`W = \sum_i \lambda_i`.

    Args:
        temperature: T > 0; large values keep to the base weights.
        interval: iterations of an interval, >= 1.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, temperature: float = 2.0, interval: int = 200, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        if not (is_number(temperature) and temperature > 0):
            raise ValueError(f'DWABalancer: temperature must be > 0, found {temperature!r}.')
        self.temperature = float(temperature)
        self.means = IntervalMeans(len(self.parts), interval)

    def compute_weights(self, step: Step) -> BalancerOutput:
        weights = self.softmax_around_base(self.means.rates() / self.temperature)
        if self.training:
            self.means.update(self.values(step))
        return BalancerOutput(weights)

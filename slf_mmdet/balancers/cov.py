"""CoV-Weighting: parts whose loss still varies weigh more."""

from typing import Optional

import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import LossBalancer, Weighing
from .safe_math import ratio


@MODELS.register_module()
class CoVBalancer(LossBalancer):
    r"""Weighs by the coefficient of variation of each part's history, made for one task with a loss of several parts.

    Groenendijk et al., "Multi-Loss Weighting with Coefficient of Variations", WACV 2021. With the loss ratio
    :math:`q_i^{(t)} = \ell_i^{(t)} / \mu(\ell_i^{(1)}, \dots, \ell_i^{(t-1)})`, where :math:`\mu` is a mean,

    .. math:: w_i = W \frac{\lambda_i c_i}{\sum_j \lambda_j c_j}, \qquad
              c_i = \frac{\sigma(q_i^{(1)}, \dots, q_i^{(t)})}{\mu(q_i^{(1)}, \dots, q_i^{(t)})}

    All means and the standard deviation :math:`\sigma` are over the whole history (Welford's method). The weights start
    at the base weights :math:`\lambda` and stay there as long as no part varies; they always sum to
    :math:`W = \sum_i \lambda_i`. The first ratio is 1.

    Args:
        kwargs: see :class:`LossBalancer`.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        size = len(self.parts)
        self.register_buffer('number', torch.zeros(()))
        for name in ('mean_loss', 'mean_ratio', 'squared_deviation'):
            self.register_buffer(name, torch.zeros(size))
        self.number: Tensor
        self.mean_loss: Tensor
        self.mean_ratio: Tensor
        self.squared_deviation: Tensor

    def weigh(self, losses: Tensor, context: Optional[Tensor]) -> Weighing:
        values = self.values(losses)
        number = self.number + 1
        current = ratio(values, self.mean_loss)
        deviation = current - self.mean_ratio
        mean_ratio = self.mean_ratio + deviation / number
        squared_deviation = self.squared_deviation + deviation * (current - mean_ratio)
        self.remember(
            values,
            number=number,
            mean_loss=self.mean_loss + (values - self.mean_loss) / number,
            mean_ratio=mean_ratio,
            squared_deviation=squared_deviation,
        )
        return Weighing(self._normalized((squared_deviation / number).sqrt() / mean_ratio))

    def _normalized(self, variation: Tensor) -> Tensor:
        counted = self.base_weights * variation
        total = counted.sum()
        weights = self.total_weight * counted / total.clamp_min(torch.finfo(total.dtype).tiny)
        return torch.where(total > 0, weights, self.base_weights)

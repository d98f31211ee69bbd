"""What all losses of this package have in common: weights, averaging and arithmetic as in mmdet's losses."""

from abc import ABCMeta, abstractmethod
from typing import Any, Optional, Union

import torch
from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

REDUCTIONS = ('none', 'mean', 'sum')


def match_weight(weight: Tensor, loss: Tensor) -> Tensor:
    """Shapes weights to losses.

    A weight per sample ``(N,)`` counts for all elements ``(N, ...)`` of the sample; of weights per element, a loss per
    sample ``(N,)`` takes the mean, as mmdet's IoU losses do.
    """
    if weight.dim() < loss.dim():
        return weight.view(*weight.shape, *[1] * (loss.dim() - weight.dim()))
    if weight.dim() > loss.dim():
        return weight.flatten(loss.dim()).mean(-1)
    return weight


class ReducedLoss(nn.Module, metaclass=ABCMeta):
    """A loss that is called as mmdet's are: a subclass implements :meth:`unreduced`, its formula.

    The arithmetic is fp32 at least, also under autocast.

    Args:
        reduction: ``'mean'`` over all elements, or their sum over ``avg_factor`` where the head gives one;
            ``'sum'`` or ``'none'``.
        loss_weight: factor of the result.

    Raises:
        ValueError: ``reduction`` is unknown, or ``avg_factor`` is given together with ``'sum'``.
    """

    def __init__(self, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__()
        self.reduction = reduction
        self.loss_weight = loss_weight
        self._reduction(None)

    @abstractmethod
    def unreduced(self, pred: Tensor, target: Any, **kwargs: Any) -> Tensor:
        """The loss of each sample ``(N,)`` or of each element ``(N, ...)``, not weighted yet.

        Args:
            pred: fp32 at least.
            target: as the head gave it.
            kwargs: what else it gave. Always in it: ``weight``, for formulas that are normalised over the samples.
        """

    def forward(
        self,
        pred: Tensor,
        target: Any,
        weight: Optional[Tensor] = None,
        avg_factor: Union[float, Tensor, None] = None,
        reduction_override: Optional[str] = None,
        **kwargs: Any,
    ) -> Tensor:
        """Computes the loss.

        Args:
            pred: what the head put out, ``(N, ...)``.
            target: what it should have put out.
            weight: per sample ``(N,)`` or per element.
            avg_factor: number that the sum is divided by, with the reduction ``'mean'``.
            reduction_override: replaces ``reduction`` in this call.
            kwargs: handed on to the formula.
        """
        reduction = self._reduction(reduction_override)
        with torch.autocast(pred.device.type, enabled=False):
            loss = self.unreduced(
                pred.to(torch.promote_types(pred.dtype, torch.float32)), target, weight=weight, **kwargs
            )
            weight = None if weight is None else match_weight(weight, loss)
            return self.loss_weight * weight_reduce_loss(loss, weight, reduction, avg_factor)

    def _reduction(self, override: Optional[str]) -> str:
        reduction = override or self.reduction
        if reduction not in REDUCTIONS:
            raise ValueError(
                f'{type(self).__name__}: reduction must be one of {list(REDUCTIONS)}, found {reduction!r}.'
            )
        return reduction

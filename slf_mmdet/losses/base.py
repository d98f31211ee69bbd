"""Base class of the losses: weights, reduction and arithmetic as in mmdet's losses."""

from abc import ABCMeta, abstractmethod
from typing import Any, Optional, Union

import torch
from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

REDUCTIONS = ('none', 'mean', 'sum')


def match_weight(weight: Tensor, loss: Tensor) -> Tensor:
    """Shapes weights to losses.

    A weight per sample ``(N,)`` applies to all elements ``(N, ...)`` of the sample; weights per element are averaged
    for a loss per sample ``(N,)``, as in mmdet's IoU losses.
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
        """The unweighted loss of each sample ``(N,)`` or of each element ``(N, ...)``.

        Args:
            pred: fp32 at least.
            target: as passed by the head.
            kwargs: further arguments of the head, and always ``weight``, for formulas that are normalised over samples.
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
            pred: prediction of the head, ``(N, ...)``.
            target: ground truth.
            weight: per sample ``(N,)`` or per element.
            avg_factor: number that the sum is divided by, with the reduction ``'mean'``.
            reduction_override: replaces ``reduction`` in this call.
            kwargs: passed to the formula.
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

"""Base class of the losses: weights, reduction and arithmetic as in mmdet's losses."""

from abc import ABCMeta, abstractmethod
from typing import Any, Optional, Tuple, Union

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


def reduced(
    loss: Tensor, weight: Optional[Tensor], reduction: str, avg_factor: Union[float, Tensor, None] = None
) -> Tensor:
    """Weighs and reduces as mmdet's ``weight_reduce_loss``, but the mean over no element is 0, with a graph, not nan.

    Args:
        loss: of each sample or element.
        weight: broadcasts with ``loss``, or ``None``.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        avg_factor: number that the sum is divided by, with the reduction ``'mean'``.
    """
    if reduction == 'mean' and avg_factor is None and loss.numel() == 0:
        reduction = 'sum'
    return weight_reduce_loss(loss, weight, reduction, avg_factor)


class ReducedLoss(nn.Module, metaclass=ABCMeta):
    """A loss that is called as mmdet's are: a subclass implements :meth:`unreduced`, its formula.

    The arithmetic is fp32 at least, also under autocast.

    Args:
        reduction: ``'mean'`` over all elements, 0 where there is none, or their sum over ``avg_factor`` where the head
            gives one; ``'sum'`` or ``'none'``.
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
    def unreduced(self, pred: Tensor, target: Any, weight: Optional[Tensor]) -> Tensor:
        """The unweighted loss of each sample ``(N,)`` or of each element ``(N, ...)``.

        Args:
            pred: fp32 at least.
            target: as passed by the head.
            weight: per sample or element, for formulas that are normalised over samples; it is applied elsewhere.
        """

    def forward(
        self,
        pred: Tensor,
        target: Any,
        weight: Optional[Tensor] = None,
        avg_factor: Union[float, Tensor, None] = None,
        reduction_override: Optional[str] = None,
        ignore_index: Optional[int] = None,
    ) -> Tensor:
        """Computes the loss.

        Args:
            pred: prediction of the head, ``(N, ...)``.
            target: ground truth.
            weight: per sample ``(N,)`` or per element.
            avg_factor: number that the sum is divided by, with the reduction ``'mean'``.
            reduction_override: replaces ``reduction`` in this call.
            ignore_index: samples of this class index have the weight 0, as in mmdet's ``CrossEntropyLoss``: a mean
                without ``avg_factor`` still counts them.

        Raises:
            ValueError: see the class; or the target does not fit the prediction, a label is out of range, or
                ``ignore_index`` is given where the target is not class indices.
        """
        reduction = self._reduction(reduction_override)
        if ignore_index is not None:
            target, weight = self._without(ignore_index, target, weight)
        with torch.autocast(pred.device.type, enabled=False):
            loss = self.unreduced(pred.to(torch.promote_types(pred.dtype, torch.float32)), target, weight)
            weight = None if weight is None else match_weight(weight, loss)
            return self.loss_weight * reduced(loss, weight, reduction, avg_factor)

    def _without(self, ignored: int, target: Any, weight: Optional[Tensor]) -> Tuple[Any, Tensor]:
        """The target with another class for samples of the class ``ignored``, and weights that are 0 for them."""
        if not isinstance(target, Tensor) or target.is_floating_point():
            found = target.dtype if isinstance(target, Tensor) else type(target).__name__
            raise ValueError(f'{type(self).__name__}: ignore_index needs class indices as target, found {found}.')
        kept = target != ignored
        if weight is None:
            return target.masked_fill(~kept, 0), kept.float()
        return target.masked_fill(~kept, 0), weight * match_weight(kept.to(weight.dtype), weight)

    def _reduction(self, override: Optional[str]) -> str:
        reduction = override or self.reduction
        if reduction not in REDUCTIONS:
            raise ValueError(
                f'{type(self).__name__}: reduction must be one of {list(REDUCTIONS)}, found {reduction!r}.'
            )
        return reduction

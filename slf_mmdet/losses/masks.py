"""Losses between maps: logits and labels of pixels, in the forms that heads pass them, as probabilities and masks."""

from abc import abstractmethod
from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import ReducedLoss
from .class_scores import checked_labels, probabilities

IGNORED = 255
"""Class of pixels that do not count, in mmdet's maps of classes."""


def masks_of_labels(owner: str, pred: Tensor, labels: Optional[Tensor]) -> Tensor:
    """The mask of each object's own class, as mmdet's mask heads train it.

    Args:
        owner: class of the loss, for the text of an error.
        pred: ``(N, C, H, W)``, a mask of each class.
        labels: ``(N,)``, of the objects.

    Returns:
        ``(N, H, W)``.

    Raises:
        ValueError: there are no labels, or one is out of range.
    """
    if labels is None:
        raise ValueError(
            f'{owner}: use_mask=True needs the class of each mask as third argument, as mask heads pass it, found None.'
        )
    return pred[torch.arange(len(pred), device=pred.device), checked_labels(labels, pred.shape[1])]


def pixel_probabilities(
    owner: str, pred: Tensor, target: Tensor, use_sigmoid: bool, ignore_index: int
) -> Tuple[Tensor, Tensor]:
    """Probabilities and masks of each class, both 0 where a pixel is ignored.

    Args:
        owner: class of the loss, for the text of an error.
        pred: logits ``(N, C, H, W)``.
        target: class of each pixel ``(N, H, W)``, or masks ``(N, C, H, W)`` of 0 and 1.
        use_sigmoid: probabilities by sigmoid instead of softmax over the classes.
        ignore_index: class of pixels that do not count, in a target ``(N, H, W)``.

    Returns:
        Both ``(N, C, H, W)``.

    Raises:
        ValueError: shapes do not fit, or a class is out of range.
    """
    if pred.dim() != 4 or target.shape not in (pred.shape, pred[:, 0].shape):
        raise ValueError(
            f'{owner}: predictions must be logits (N, C, H, W) and targets classes (N, H, W) or masks (N, C, H, W), '
            f'found predictions of shape {tuple(pred.shape)} and targets of shape {tuple(target.shape)}.'
        )
    p = probabilities(pred.movedim(1, -1), use_sigmoid).movedim(-1, 1)
    if target.shape == pred.shape:
        return p, target.to(p.dtype)
    counted = (target != ignore_index).unsqueeze(1)
    labels = checked_labels(target.masked_fill(target == ignore_index, 0), pred.shape[1])
    return p * counted, F.one_hot(labels, pred.shape[1]).movedim(-1, 1).to(p.dtype) * counted


class MapLoss(ReducedLoss):
    """A loss between maps of probabilities and masks: a subclass implements :meth:`of_maps`.

    Args:
        use_sigmoid: probabilities by sigmoid instead of softmax over the classes.
        ignore_index: class of pixels that do not count; that of a call comes in addition.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`.

    Raises:
        ValueError: ``reduction`` is unknown; or, when called, shapes do not fit or a class is out of range.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        ignore_index: int = IGNORED,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = use_sigmoid
        self.ignore_index = ignore_index

    @abstractmethod
    def of_maps(self, p: Tensor, masks: Tensor) -> Tensor:
        """The loss of each image ``(N,)`` or mask ``(N, ...)``.

        Args:
            p: probabilities ``(N, C, H, W)``, 0 where a pixel does not count.
            masks: ``(N, C, H, W)`` of 0 and 1, as well.
        """

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        name = type(self).__name__
        return self.of_maps(*pixel_probabilities(name, pred, target, self.use_sigmoid, self.ignore_index))

    def _without(self, ignored: int, target: Tensor, weight: Optional[Tensor]) -> Tuple[Tensor, Any]:
        return target.masked_fill(target == ignored, self.ignore_index), weight

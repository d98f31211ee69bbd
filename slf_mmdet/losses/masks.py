"""Converts logits and labels of pixels, in the forms that heads pass them, to probabilities and masks of classes."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

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

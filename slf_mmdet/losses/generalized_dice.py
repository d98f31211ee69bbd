"""Generalised Dice loss (Sudre et al., DLMIA 2017, https://arxiv.org/abs/1707.03237)."""

from typing import Optional

import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import ReducedLoss
from .masks import IGNORED, pixel_probabilities


def generalized_dice(probabilities: Tensor, masks: Tensor) -> Tensor:
    r"""Overlap of regions, in which a class counts as much as another, however small it is.

    .. math:: 1 - 2 \frac{\sum_c w_c \sum_i p_{ci} g_{ci}}{\sum_c w_c \sum_i (p_{ci} + g_{ci})},
              \quad w_c = \frac{1}{(\sum_i g_{ci})^2}

    over the pixels i of an image. A class that the image does not have counts as its smallest class, as in MONAI; the
    authors of the boundary loss give it 1e20.

    Args:
        probabilities: p, ``(N, C, H, W)``.
        masks: g, ``(N, C, H, W)`` of 0 and 1.

    Returns:
        ``(N,)``, in [0, 1].
    """
    areas = masks.sum((-2, -1))
    weights = torch.where(areas > 0, 1 / areas.square(), 0)
    largest = torch.where((areas > 0).any(1, keepdim=True), weights.amax(1, keepdim=True), 1)
    weights = torch.where(areas > 0, weights, largest)
    overlap = (weights * (probabilities * masks).sum((-2, -1))).sum(1)
    total = (weights * (probabilities.sum((-2, -1)) + areas)).sum(1)
    return 1 - 2 * overlap / total.clamp_min(torch.finfo(total.dtype).tiny)


@MODELS.register_module()
class GeneralizedDiceLoss(ReducedLoss):
    """See :func:`generalized_dice`.

    Args:
        use_sigmoid: probabilities by sigmoid instead of softmax over the classes.
        ignore_index: class of pixels that do not count.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`; without reduction there is a value for
            each image.

    Raises:
        ValueError: ``reduction`` is unknown; or, when called, shapes do not fit or a class is out of range.

    Examples:
        >>> logits = torch.tensor([[[[30.0, 30.0]], [[-30.0, -30.0]]]])
        >>> GeneralizedDiceLoss()(logits, torch.tensor([[[0, 1]]]))  # one of two pixels: 1 - 2 * 1 / (2 + 1 + 0 + 1)
        tensor(0.5000)
    """

    def __init__(
        self, use_sigmoid: bool = False, ignore_index: int = IGNORED, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = use_sigmoid
        self.ignore_index = ignore_index

    def unreduced(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        return generalized_dice(
            *pixel_probabilities(type(self).__name__, pred, target, self.use_sigmoid, self.ignore_index)
        )

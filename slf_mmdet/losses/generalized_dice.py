"""Generalised Dice loss (Sudre et al., DLMIA 2017, https://arxiv.org/abs/1707.03237)."""

import torch
from mmdet.registry import MODELS
from torch import Tensor

from .masks import MapLoss


def generalized_dice(probabilities: Tensor, masks: Tensor) -> Tensor:
    r"""Overlap of regions, in which a class counts as much as another, however small it is.

    .. math:: 1 - 2 \frac{\sum_c w_c \sum_i p_{ci} g_{ci}}{\sum_c w_c \sum_i (p_{ci} + g_{ci})},
              \quad w_c = \frac{1}{(\sum_i g_{ci})^2}

    over the pixels i of an image. A class that the image does not have counts as its smallest class, as in MONAI.

    Args:
        probabilities: p, ``(N, C, H, W)``.
        masks: g, ``(N, C, H, W)`` of 0 and 1.

    Returns:
        ``(N,)``, in [0, 1]; 0 of an image without a pixel that counts.
    """
    areas = masks.sum((-2, -1))
    weights = torch.where(areas > 0, 1 / areas.square(), 0)
    largest = torch.where((areas > 0).any(1, keepdim=True), weights.amax(1, keepdim=True), 1)
    weights = torch.where(areas > 0, weights, largest)
    overlap = (weights * (probabilities * masks).sum((-2, -1))).sum(1)
    total = (weights * (probabilities.sum((-2, -1)) + areas)).sum(1)
    loss = 1 - 2 * overlap / total.clamp_min(torch.finfo(total.dtype).tiny)
    return torch.where(total > 0, loss, 0 * overlap)


@MODELS.register_module()
class GeneralizedDiceLoss(MapLoss):
    """See :func:`generalized_dice`.

    Without reduction there is a value for each image. Arguments and errors are those of
    :class:`~slf_mmdet.losses.masks.MapLoss`.

    Examples:
        >>> logits = torch.tensor([[[[30.0, 30.0]], [[-30.0, -30.0]]]])
        >>> GeneralizedDiceLoss()(logits, torch.tensor([[[0, 1]]]))  # one of two pixels: 1 - 2 * 1 / (2 + 1 + 0 + 1)
        tensor(0.5000)
    """

    def of_maps(self, p: Tensor, masks: Tensor) -> Tensor:
        return generalized_dice(p, masks)

"""Boundary loss for highly unbalanced segmentation (Kervadec et al., MIDL 2019, https://arxiv.org/abs/1812.07032)."""

from typing import Any, Optional, Union

import numpy as np
import torch
from mmdet.registry import MODELS
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from .masks import IGNORED, MapLoss, masks_of_labels


def signed_distance(masks: Tensor) -> Tensor:
    r"""The signed distance :math:`\phi` of each pixel to the boundary of a mask, in pixels.

    Outside of the mask it is the distance to the nearest pixel inside; inside it is 1 less than the distance to the
    nearest pixel outside, and negative, so that pixels at the boundary have 0. A mask without a boundary, empty or
    full, has 0 everywhere.

    Args:
        masks: ``(..., H, W)``; a pixel is inside where the value is above 0.5.

    Returns:
        ``(..., H, W)``, fp32, on the device of the masks. It is computed on the CPU, by SciPy.

    Examples:
        >>> signed_distance(torch.tensor([[0.0, 0.0, 1.0, 1.0, 1.0]]))
        tensor([[ 2.,  1.,  0., -1., -2.]])
    """
    inside = (masks > 0.5).cpu().numpy()
    distance = np.zeros(inside.shape, np.float32)
    for index in np.ndindex(inside.shape[:-2]):
        mask = inside[index]
        if mask.any() and not mask.all():
            distance[index] = np.where(mask, 1 - distance_transform_edt(mask), distance_transform_edt(~mask))
    return torch.from_numpy(distance).to(masks.device)


def boundary(probabilities: Tensor, masks: Tensor) -> Tensor:
    r"""The mean over the pixels of :math:`\phi\,(p - g)`, half the squared distance of two boundaries (Eq. 4).

    g is the mask and :math:`\phi` its :func:`signed_distance`. The authors' code and MONAI leave out the constant
    :math:`-\phi\,g`. It changes no gradient, but keeps the loss >= 0 with 0 for a perfect prediction: what looks at
    values of losses, as balancers do, can compare it with others.

    Args:
        probabilities: ``(N, C, H, W)``.
        masks: ``(N, C, H, W)`` of 0 and 1.

    Returns:
        ``(N, C)``; 0 where a mask is empty or full.
    """
    return (signed_distance(masks) * (probabilities - masks)).mean((-2, -1))


@MODELS.register_module()
class BoundaryLoss(MapLoss):
    """See :func:`boundary`. It counts distances where losses over regions count pixels.

    By itself it does not say that an object must be there: the authors add it to a loss over regions, with a weight of
    .01 that rises with training. Where these two are parts of their own, a balancer weighs them.

    Args:
        use_sigmoid: see :class:`~slf_mmdet.losses.masks.MapLoss`.
        use_mask: for ``loss_mask`` of mask heads, which predict a mask of each class and pass the class as third
            argument; implies ``use_sigmoid``.
        include_background: whether class 0 counts, which as one of two has the boundary of the other. With ``use_mask``
            it does.
        ignore_index: see :class:`~slf_mmdet.losses.masks.MapLoss`.
        reduction, loss_weight: see :class:`~slf_mmdet.losses.base.ReducedLoss`; without reduction there is a value for
            each mask.

    Raises:
        ValueError: see :class:`~slf_mmdet.losses.masks.MapLoss`; or the background is the only class.

    Examples:
        >>> logits = torch.full((1, 2, 1, 5), -30.0)
        >>> labels = torch.tensor([[[0, 0, 1, 1, 1]]])
        >>> BoundaryLoss(use_sigmoid=True)(logits, labels)  # nothing is found: (0 + 1 + 2) / 5
        tensor(0.6000)
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        include_background: bool = False,
        ignore_index: int = IGNORED,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(use_sigmoid or use_mask, ignore_index, reduction, loss_weight)
        self.use_mask = use_mask
        self.include_background = include_background

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
            pred: logits ``(N, C, H, W)``.
            target: class of each pixel ``(N, H, W)``; with ``use_mask`` the mask of each object ``(N, H, W)``.
            weight: per image ``(N,)``; with ``use_mask`` the class of each object.
            avg_factor: see :class:`~slf_mmdet.losses.base.ReducedLoss`, as for the following.
            reduction_override: see there.
            ignore_index: see there.

        Raises:
            ValueError: see the class.
        """
        if self.use_mask:
            pred, target = masks_of_labels(type(self).__name__, pred, weight).unsqueeze(1), target.unsqueeze(1)
            weight = None
        return super().forward(pred, target, weight, avg_factor, reduction_override, ignore_index)

    def of_maps(self, p: Tensor, masks: Tensor) -> Tensor:
        first = 0 if self.include_background or self.use_mask else 1
        if p.shape[1] == first:
            raise ValueError(
                'BoundaryLoss: predictions of one class have nothing but a background, found the shape '
                f'{tuple(p.shape)}. Set include_background=True if class 0 is none.'
            )
        return boundary(p[:, first:], masks[:, first:])

"""Gradients of the parts of a loss at what they share."""

import re
from typing import List, Optional, Sequence, Tuple, Union

import torch
from mmengine import dist
from torch import Tensor

from .processes import mean_over_processes

Shared = Union[Tensor, Sequence[Tensor], None]

# What torch, torchvision and torch.compile say of an operation without second derivative; there is no type for it.
_ONCE_ONLY = re.compile(r'differentiate twice|double backward|derivative for .* is not implemented', re.IGNORECASE)


def part_gradients(losses: Tensor, shared: Shared) -> Tensor:
    """Differentiates each part, keeping the graph for the backward pass to come.

    Args:
        losses: ``(n,)`` or, per image, ``(N, n)``, of which the means are taken.
        shared: parameters or feature maps that the parts depend on.

    Returns:
        ``(n, D)``, D the number of elements of ``shared``; at least fp32; 0 where a part does not depend on it.

    Raises:
        ValueError: neither carries a graph.
    """
    places = _places(losses, shared)
    return torch.stack(
        [
            _flat(torch.autograd.grad(part, places, retain_graph=True, allow_unused=True), places)
            for part in _means(losses)
        ]
    )


def squared_gradient_norms(losses: Tensor, shared: Shared) -> Tensor:
    """Squared norms of the gradients of the parts, ``(n,)``, as one process with the images of all would find them.

    Takes the arguments of :func:`part_gradients`; all processes must call it.
    """
    gradients = part_gradients(losses, shared)
    if all(place.is_leaf for place in _places(losses, shared)):
        return mean_over_processes(gradients).square().sum(1)
    # Feature maps: each process has those of its images, whose share in the mean loss is 1 / get_world_size()
    return mean_over_processes(gradients.square().sum(1)) / dist.get_world_size()


def weighted_gradient_and_slopes(
    losses: Tensor, weights: Tensor, shared: Shared, direction: Optional[Tensor]
) -> Tuple[Tensor, Tensor]:
    r"""The gradient of the weighted sum of the parts, and how fast each part changes along a direction.

    What ``weights @ g`` and ``g @ direction`` give, for g of :func:`part_gradients`, in two backward passes however
    many parts there are: with u for the weights, :math:`G(u) = \sum_i u_i \nabla \ell_i` is linear, so that
    :math:`\partial \langle G(u), d \rangle / \partial u_i = \langle \nabla \ell_i, d \rangle`. The graph is kept.

    Args:
        losses: ``(n,)`` or, per image, ``(N, n)``, of which the means are taken.
        weights: ``(n,)``.
        shared: parameters or feature maps that the parts depend on.
        direction: ``(D,)``; ``None`` for 0.

    Returns:
        ``(D,)`` and ``(n,)``; at least fp32.

    Raises:
        ValueError: neither ``losses`` nor ``shared`` carries a graph.
        RuntimeError: an operation between the two can be differentiated once only. Not every such operation says so:
            ask :func:`two_passes_suffice` first.
    """
    places = _places(losses, shared)
    means = _means(losses)
    weights = weights.to(means).detach().requires_grad_(direction is not None)
    gradients = torch.autograd.grad(
        means, places, weights, retain_graph=True, create_graph=direction is not None, allow_unused=True
    )
    gradient = _flat(gradients, places)
    slopes = None
    if direction is not None and gradient.requires_grad:
        (slopes,) = torch.autograd.grad(gradient @ direction, weights, allow_unused=True)
    return gradient.detach(), torch.zeros_like(means) if slopes is None else slopes


def two_passes_suffice(losses: Tensor, weights: Tensor, shared: Shared, direction: Tensor) -> Optional[bool]:
    """Whether :func:`weighted_gradient_and_slopes` gives the slopes that :func:`part_gradients` gives.

    It does not where an operation can be differentiated once only, as compiled ones of mmcv and torchvision: some
    raise an error then, others are left out of the slopes in silence.

    Takes the arguments of the former.

    Returns:
        ``None`` where the slopes are not finite and cannot be compared.
    """
    expected = part_gradients(losses, shared) @ direction
    if not expected.isfinite().all():
        return None
    try:
        _, slopes = weighted_gradient_and_slopes(losses, weights, shared, direction)
    except RuntimeError as error:
        if _ONCE_ONLY.search(str(error)):
            return False
        raise
    return torch.allclose(slopes.to(expected), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def _means(losses: Tensor) -> Tensor:
    return losses if losses.dim() == 1 else losses.mean(0)


def _flat(gradients: Sequence[Optional[Tensor]], places: Sequence[Tensor]) -> Tensor:
    filled = [torch.zeros_like(place) if grad is None else grad for grad, place in zip(gradients, places)]
    return torch.cat([grad.flatten().float() for grad in filled])


def _places(losses: Tensor, shared: Shared) -> List[Tensor]:
    places = [shared] if isinstance(shared, Tensor) else list(shared or [])
    places = [place for place in places if place.requires_grad]
    if not places or not losses.requires_grad:
        raise ValueError(
            'neither `shared` nor the context carries a graph. Give the weight of the last layer that all parts share, '
            'or its feature maps, without detaching them.'
        )
    return places

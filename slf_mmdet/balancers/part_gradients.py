"""Gradients of the parts of a loss at what they share."""

from typing import List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

Shared = Union[Tensor, Sequence[Tensor], None]


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


def weighted_gradient_and_slopes(
    losses: Tensor, weights: Tensor, shared: Shared, direction: Optional[Tensor]
) -> Tuple[Tensor, Tensor]:
    r"""The gradient of the weighted sum of the parts, and how fast each part changes along a direction.

    What ``weights @ g`` and ``g @ direction`` give, for g of :func:`part_gradients`, in two backward passes however many
    parts there are: with u for the weights, :math:`G(u) = \sum_i u_i \nabla \ell_i` is linear, so that
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
        RuntimeError: an operation between the two can be differentiated once only.
    """
    places = _places(losses, shared)
    means = _means(losses)
    weights = weights.to(means).detach().requires_grad_(direction is not None)
    gradients = torch.autograd.grad(
        means, places, weights, retain_graph=True, create_graph=direction is not None, allow_unused=True
    )
    gradient = _flat(gradients, places)
    if direction is None:
        return gradient, torch.zeros_like(weights)
    (slopes,) = torch.autograd.grad(gradient @ direction, weights)
    return gradient.detach(), slopes


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

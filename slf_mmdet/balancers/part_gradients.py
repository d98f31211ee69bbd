"""Gradients of the parts of a loss at what they share."""

from typing import List, Optional, Sequence, Union

import torch
from mmengine import dist
from torch import Tensor

from .processes import mean_over_processes

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


def squared_gradient_norms(losses: Tensor, shared: Shared) -> Tensor:
    """Squared norms of the gradients of the parts, ``(n,)``, as one process with the images of all would find them.

    Takes the arguments of :func:`part_gradients`; all processes must call it.
    """
    gradients = part_gradients(losses, shared)
    if all(place.is_leaf for place in _places(losses, shared)):
        return mean_over_processes(gradients).square().sum(1)
    # Feature maps: each process has those of its images, whose share in the mean loss is 1 / get_world_size()
    return mean_over_processes(gradients.square().sum(1)) / dist.get_world_size()


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

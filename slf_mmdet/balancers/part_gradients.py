"""Gradients of the parts of a loss at what they share."""

from typing import Sequence, Union

import torch
from torch import Tensor


def part_gradients(losses: Tensor, shared: Union[Tensor, Sequence[Tensor], None]) -> Tensor:
    """Differentiates each part, keeping the graph for the backward pass to come.

    Args:
        losses: ``(n,)`` or, per image, ``(N, n)``, of which the means are taken.
        shared: parameters or feature maps that the parts depend on.

    Returns:
        ``(n, D)``, D the number of elements of ``shared``; at least fp32; 0 where a part does not depend on it.

    Raises:
        ValueError: neither carries a graph.
    """
    places = [shared] if isinstance(shared, Tensor) else list(shared or [])
    places = [place for place in places if place.requires_grad]
    if not places or not losses.requires_grad:
        raise ValueError(
            'neither `shared` nor the context carries a graph. Give the weight of the last layer that all parts share, '
            'or its feature maps, without detaching them.'
        )
    rows = []
    for part in losses if losses.dim() == 1 else losses.mean(0):
        gradients = torch.autograd.grad(part, places, retain_graph=True, allow_unused=True)
        filled = [torch.zeros_like(place) if grad is None else grad for grad, place in zip(gradients, places)]
        rows.append(torch.cat([grad.flatten().float() for grad in filled]))
    return torch.stack(rows)

"""Gradients of the parts of a loss with respect to parameters that they share."""

from typing import Optional, Sequence

import torch
from torch import Tensor


def part_gradients(losses: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Differentiates each part, keeping the graph for the backward pass to come.

    Args:
        losses: ``(n,)`` or, per image, ``(N, n)``, of which the means are taken.
        parameters: tensors that the parts depend on.

    Returns:
        ``(n, D)``, D the number of elements of ``parameters``; at least fp32; 0 where a part does not depend on one.
    """
    means = losses if losses.dim() == 1 else losses.mean(0)
    return torch.stack([gradient(part, parameters) for part in means])


def gradient(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The gradient ``(D,)`` of a scalar, keeping its graph; at least fp32."""
    found: Sequence[Optional[Tensor]] = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    filled = [torch.zeros_like(one) if grad is None else grad for grad, one in zip(found, parameters)]
    return torch.cat([grad.flatten().float() for grad in filled])

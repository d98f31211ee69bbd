"""Gradients of the parts of a loss with respect to parameters that they share."""

from typing import List, Optional, Sequence

import torch
from torch import Tensor

# Values are multiplied by it before they are differentiated, and gradients are divided by it: those of fp16 operations
# would underflow to 0, as they would without a gradient scaler. A power of two is exact in fp32
GRADIENT_SCALE = 2.0**12


def part_gradients(parts: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Differentiates each part by itself, keeping the graph for the backward pass to come.

    Args:
        parts: n scalars or, per image, ``(N,)``, of which the means are taken. Not views of one tensor: a gradient that
            is not finite would reach the others.
        parameters: tensors that the parts depend on.

    Returns:
        ``(n, D)``, D the number of elements of ``parameters``; at least fp32; 0 where a part does not depend on one.
    """
    return torch.stack([gradient(part.mean(), parameters) for part in parts])


def gradient(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The gradient ``(D,)`` of a scalar, keeping its graph; at least fp32."""
    found = scaled_gradients(value, parameters)
    filled = [torch.zeros_like(one).float() if grad is None else grad for grad, one in zip(found, parameters)]
    return torch.cat([grad.flatten() for grad in filled])


def scaled_gradients(value: Tensor, tensors: Sequence[Tensor]) -> List[Optional[Tensor]]:
    """The gradients of a scalar with respect to tensors, in fp32, keeping its graph; ``None`` where there is none."""
    if not value.requires_grad:
        return [None] * len(tensors)
    found = torch.autograd.grad(GRADIENT_SCALE * value, tensors, retain_graph=True, allow_unused=True)
    return [None if grad is None else grad.float() / GRADIENT_SCALE for grad in found]

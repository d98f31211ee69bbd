"""Arithmetic that stays finite: a part of a loss may be 0 in a batch without objects."""

import torch
from torch import Tensor

LARGEST_RATIO = 1e6
SMALLEST_LOSS = 1e-12


def at_least_fp32(value: Tensor) -> Tensor:
    """The values of fp16 and bf16 as fp32, others as they are."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def clamp_min_eps(values: Tensor) -> Tensor:
    """The values, at least the smallest normal number of their dtype: safe to divide by."""
    return values.clamp_min(torch.finfo(values.dtype).tiny)


def ratio(now: Tensor, reference: Tensor) -> Tensor:
    """``now / reference``, at most 1e6; 1 where the reference is not positive."""
    quotient = (now / clamp_min_eps(reference)).clamp(0, LARGEST_RATIO)
    return torch.where(reference > 0, quotient, 1)


def log(values: Tensor) -> Tensor:
    """Logarithm of losses, of 1e-12 for those below."""
    return values.clamp_min(SMALLEST_LOSS).log()


def weighted(weights: Tensor, values: Tensor) -> Tensor:
    """``weights * values``, in which a value of weight 0 contributes exactly 0, also where it is inf or nan.

    Gradients of both factors are those of the product, without those of the values that are left out.
    """
    left_out = (weights.detach() == 0) & ~values.detach().isfinite()
    return weights * values.masked_fill(left_out, 0)


def mean_over_images(values: Tensor) -> Tensor:
    """``(n,)`` from ``(n,)`` or ``(N, n)``."""
    return values if values.dim() == 1 else values.mean(0)

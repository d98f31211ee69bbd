"""Ratios and logarithms of losses that stay finite: a part may be 0 in a batch without objects."""

import torch
from torch import Tensor

LARGEST_RATIO = 1e6
SMALLEST_LOSS = 1e-12


def ratio(now: Tensor, reference: Tensor) -> Tensor:
    """``now / reference``, at most 1e6, and 1 where the reference is not positive and says nothing."""
    tiny = torch.finfo(now.dtype).tiny
    known = (now / reference.clamp_min(tiny)).clamp(0, LARGEST_RATIO)
    return torch.where(reference > 0, known, 1)


def positive(values: Tensor) -> Tensor:
    """The values, or the least number > 0 for those that are not: to divide by."""
    return values.clamp_min(torch.finfo(values.dtype).tiny)


def log(values: Tensor) -> Tensor:
    """Logarithm of losses, of 1e-12 for those below."""
    return values.clamp_min(SMALLEST_LOSS).log()

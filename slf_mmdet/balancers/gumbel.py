"""Multiple Gumbel-Softmax: averaged straight-through samples of a categorical distribution.

Source: Liu & Lai, "Stochastic Loss Function", AAAI 2020, Eq. 5-10; the straight-through Gumbel-Softmax is that of
Jang et al., ICLR 2017.
"""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def multiple_gumbel_softmax(
    log_p: Tensor,
    num_samples: int = 1,
    tau: float = 1.0,
    hard: bool = True,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    r"""Averages K Gumbel-Softmax samples: :math:`\hat p = \frac 1 K \sum_k \mathcal G(p)` (Eq. 10).

    ``torch.nn.functional.gumbel_softmax`` draws from the global generator only. Here the caller may own the
    generator, so that a resumed run can draw what the uninterrupted one would have drawn; all K samples come from
    one vectorised draw.

    Args:
        log_p: logarithm of the probabilities, or any logits, shape ``(..., n)``.
        num_samples: K >= 1. K = 1 selects one entry; K to infinity tends to softmax (with ``hard=True``).
        tau: temperature > 0 of the relaxed samples, whose gradient is used (Eq. 6).
        hard: ``True`` for one-hot samples in the forward pass with the gradient of the relaxed ones
            (straight-through); ``False`` for the relaxed samples themselves.
        generator: source of the noise, on the device of ``log_p``; ``None`` for torch's global one.

    Returns:
        Weights of shape ``(..., n)``, >= 0, that sum to 1 over the last dimension.

    Raises:
        ValueError: ``num_samples`` < 1 or ``tau`` <= 0.
    """
    if num_samples < 1:
        raise ValueError(f'num_samples (the K of the paper) must be >= 1, found {num_samples}.')
    if not tau > 0:
        raise ValueError(f'tau must be > 0, found {tau}.')
    exponential = torch.empty((num_samples, *log_p.shape), dtype=log_p.dtype, device=log_p.device)
    exponential.exponential_(generator=generator)
    # An exponential variate can underflow to 0, whose Gumbel noise would be infinite.
    gumbel = -exponential.clamp_min(torch.finfo(log_p.dtype).tiny).log()
    # Divided one by one: the division of the K times larger noise needs no gradient.
    soft = (log_p / tau + gumbel / tau).softmax(dim=-1)
    if not hard:
        return soft.mean(0)
    one_hot = F.one_hot(soft.argmax(-1), log_p.shape[-1]).to(soft.dtype)
    soft = soft.mean(0)
    return one_hot.mean(0) + (soft - soft.detach())

r"""Multiple Gumbel-Softmax: averaged straight-through samples of a categorical distribution.

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
    r"""Averages K independent Gumbel-Softmax samples: :math:`\hat p = \frac 1 K \sum_k \mathcal G(p)` (Eq. 10).

    ``torch.nn.functional.gumbel_softmax`` draws from the global generator only. Here the caller may own the
    generator, so that a resumed run can draw what the uninterrupted one would have drawn; all K samples come from
    one vectorised draw, in fp32 at least.

    ``torch.compile`` cannot trace a generator: it leaves the draw out of the graph, with the same result, but with
    ``fullgraph=True`` that is an error of torch. Without a generator it compiles as a whole.

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
    _check(num_samples, tau)
    log_p = log_p.to(torch.promote_types(log_p.dtype, torch.float32))
    # Parts first: torch reduces over a long last dimension fast, over one of a few parts it does not.
    logits = log_p.movedim(-1, 0).unsqueeze(1)
    noisy = logits - _log_exponential((len(logits), num_samples, *log_p.shape[:-1]), log_p, generator)
    soft = (noisy / tau).softmax(dim=0).mean(1)
    if hard:
        noisy = noisy.detach()
        best = (noisy == noisy.amax(dim=0)).to(soft.dtype)
        one_hot = (best / best.sum(dim=0)).mean(1)  # entries that tie share a sample
        soft = one_hot + (soft - soft.detach())
    return soft.movedim(0, -1)


def stratified_gumbel_softmax(
    log_p: Tensor, num_samples: int = 1, tau: float = 1.0, generator: Optional[torch.Generator] = None
) -> Tensor:
    r"""The same mean over K straight-through samples, with less variance: the choices are stratified, not independent.

    Choice k of row i is the category at :math:`(k + u_i) / K` of the cumulative probabilities (systematic sampling;
    Carpenter et al., 1999), where :math:`u_i \in [0, 1)` is one uniform number for all rows, shifted by :math:`i / N`.
    So each category is drawn as often as its probability says, up to one sample: the standard deviation of
    :math:`\hat p_i` is at most :math:`1 / 2K` instead of :math:`\sqrt{p_i (1 - p_i) / K}`, its mean is the same.

    Given a choice, the Gumbel noise is drawn from its conditional distribution (Paulus et al., ICLR 2021, Eq. 11): with
    independent :math:`E_j \sim Exp(1)`, the noisy logit of the chosen category c is :math:`-\log E_c`, that of another
    one :math:`-\log(E_j / p_j + E_c)`. So the relaxed samples, and the gradient that they give, have the expectation
    that they have with independent draws.

    Args:
        log_p: logarithms of probabilities that sum to 1, ``(..., n)``.
        num_samples: see :func:`multiple_gumbel_softmax`, as for the others.
        tau: see there.
        generator: see there.

    Returns:
        Weights ``(..., n)``, multiples of 1 / K, that sum to 1.

    Raises:
        ValueError: ``num_samples`` < 1 or ``tau`` <= 0.
    """
    _check(num_samples, tau)
    log_p = log_p.to(torch.promote_types(log_p.dtype, torch.float32))
    rows = log_p.flatten(0, -2) if log_p.dim() > 1 else log_p.unsqueeze(0)
    with torch.no_grad():
        choices = _systematic_choices(rows.exp(), num_samples, generator)  # (N, K)
        one_hot = F.one_hot(choices, rows.shape[1])
        by_sample = rows.unsqueeze(1)
        log_e = _log_exponential(one_hot.shape, rows, generator)  # (N, K, n)
        log_top = log_e.gather(-1, choices.unsqueeze(-1))
        others = torch.logaddexp(log_e - by_sample, log_top)
        noise = -torch.where(one_hot.bool(), log_top, others) - by_sample
    soft = ((rows.unsqueeze(1) + noise) / tau).softmax(-1).mean(1)
    mean = one_hot.to(soft.dtype).mean(1) + (soft - soft.detach())
    return mean.view_as(log_p)


def _systematic_choices(p: Tensor, num_samples: int, generator: Optional[torch.Generator]) -> Tensor:
    """K categories of each row ``(N, n)`` of probabilities, ``(N, K)``."""
    start = torch.rand((), generator=generator, dtype=p.dtype, device=p.device)
    shift = (start + torch.arange(len(p), dtype=p.dtype, device=p.device) / max(len(p), 1)) % 1
    positions = (torch.arange(num_samples, dtype=p.dtype, device=p.device) + shift.unsqueeze(1)) / num_samples
    edges = p.cumsum(-1)[:, :-1].contiguous()  # without the last: rounding must not lead beyond it
    return torch.searchsorted(edges, positions, right=True)


def _log_exponential(shape: tuple, like: Tensor, generator: Optional[torch.Generator]) -> Tensor:
    """Logarithm of exponential variates; its negative is Gumbel noise."""
    uniform = torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)
    # A uniform variate can be 0, whose Gumbel noise would be infinite.
    return (-uniform.clamp_min(torch.finfo(like.dtype).tiny).log()).log()


def _check(num_samples: int, tau: float) -> None:
    if num_samples < 1:
        raise ValueError(f'num_samples (the K of the paper) must be >= 1, found {num_samples}.')
    if not tau > 0:
        raise ValueError(f'tau must be > 0, found {tau}.')

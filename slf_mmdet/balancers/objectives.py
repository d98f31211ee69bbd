"""What the decision network minimises, as scalars without a unit."""

from typing import Callable

import torch
from torch import Tensor


def joint(weights: Tensor, losses: Tensor, base_weights: Tensor) -> Tensor:
    r"""Algorithm 1 of Liu & Lai, AAAI 2020: the same weighted training loss as the detector, relative to its base.

    Divided by :math:`\bar L`, the loss under the base weights taken as a constant, so that neither the optimum nor the
    speed of the decision network depends on the scale of the losses. With :math:`p = softmax(\mu)` the gradient of the
    undivided loss is :math:`p_i (\ell_i - \sum_j p_j \ell_j)`: without an anchor all weight ends on the smallest part.

    Args:
        weights: sampled weights ``(N, n)``, ``(1, n)`` or ``(n,)``, with the gradient of the decision network.
        losses: unweighted parts ``(N, n)`` or ``(n,)``.
        base_weights: ``(n,)``.
    """
    losses = losses.detach()
    base_loss = (base_weights * losses).sum(-1).mean()
    return (weights * losses).sum(-1).mean() / base_loss.clamp_min(torch.finfo(losses.dtype).tiny)


OBJECTIVES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {'joint': joint}

"""What a decision network minimises besides the detector: the cost of its weights, and the way from the prior."""

from torch import Tensor

from ..utils.numerics import weighted


def decision_loss(shares: Tensor, costs: Tensor, log_p: Tensor, prior: Tensor, kl_weight: float) -> Tensor:
    r"""Mean over the samples of :math:`\sum_i w_i c_i + \kappa\, KL(p \| q)`.

    A part of weight 0 whose cost is inf or nan contributes 0, as it does to the loss.

    Args:
        shares: ``(N, n)`` sampled weights w, or ``(1, n)`` of all samples, with their gradient.
        costs: ``(n,)`` or ``(N, n)``, detached.
        log_p: ``(N, n)`` log-probabilities of the decision network.
        prior: ``(n,)`` q, > 0.
        kl_weight: :math:`\kappa` >= 0.

    Returns:
        A scalar.
    """
    kl = (log_p.exp() * (log_p - prior.log())).sum(-1).mean()
    return weighted(shares, costs).sum(-1).mean() + kl_weight * kl


def best_shares(costs: Tensor, prior: Tensor, kl_weight: float, total_weight: Tensor) -> Tensor:
    r"""The p that minimises the decision loss of weights :math:`W p` and constant costs.

    .. math:: p_i \propto q_i e^{-W c_i / \kappa}

    Args:
        costs: ``(n,)``.
        prior: ``(n,)`` q, > 0.
        kl_weight: :math:`\kappa` > 0.
        total_weight: W.

    Returns:
        ``(n,)``.
    """
    return (prior.log() - total_weight * costs / kl_weight).softmax(-1)

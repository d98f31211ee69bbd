r"""Losses whose gradient is that of an expected reward over sampled sequences.

A policy draws the tokens :math:`y_1, ..., y_T` one by one, each given those before it, and is rewarded for them. Minus
the expected reward is to be minimised; its gradient is estimated from samples.
"""

import torch.nn.functional as F
from torch import Tensor


def reinforce(log_probs: Tensor, rewards: Tensor, baselines: Tensor) -> Tensor:
    r""":math:`-(r - b_t) \log p(y_t \mid y_{<t})` of each token of a sample (Williams, 1992).

    Summed over the tokens of sequences drawn from p, its expected gradient is that of minus the expected reward, for
    any baseline that does not depend on the token.

    Args:
        log_probs: of the tokens drawn, of any shape.
        rewards: r of the whole sequence, for each of its tokens.
        baselines: :math:`b_t`, an estimate of r, which lowers the variance. No gradient goes to it or to r.
    """
    return -(rewards - baselines).detach() * log_probs


def expected_value(log_probs: Tensor, values: Tensor) -> Tensor:
    r""":math:`-\sum_a p(a \mid y_{<t}) Q(a; y_{<t})`, the loss of the actor (Bahdanau et al., ICLR 2017, Eq. 7).

    Summed over the tokens of sequences drawn from p, its expected gradient is that of minus the expected reward where Q
    is exact.

    Args:
        log_probs: of all tokens, ``(..., V)``.
        values: Q, ``(..., V)``, to which no gradient goes.

    Returns:
        ``(...)``.
    """
    return -(log_probs.exp() * values.detach()).sum(-1)


def critic_targets(rewards: Tensor, log_probs: Tensor, values: Tensor, kept: Tensor) -> Tensor:
    r""":math:`q_t = r_t + \sum_a p'(a \mid y_{\le t}) Q'(a; y_{\le t})`, the critic's targets (Algorithm 1).

    Args:
        rewards: :math:`r_t` that token t adds, ``(N, T)``.
        log_probs: of all tokens at each position under the delayed actor, ``(N, T, V)``.
        values: of the delayed critic, ``(N, T, V)``.
        kept: whether a position is within its sequence, ``(N, T)``; nothing is to be gained after its end.

    Returns:
        ``(N, T)``.
    """
    expected = (log_probs.exp() * values).sum(-1) * kept
    return rewards + F.pad(expected[:, 1:], (0, 1))


def critic_loss(values: Tensor, tokens: Tensor, targets: Tensor, variance_weight: float) -> Tensor:
    r""":math:`(Q(y_t) - q_t)^2 + \lambda \sum_a (Q(a) - \bar Q)^2` at each position (Algorithm 1 and Eq. 9).

    The second term keeps down the values of tokens that are hardly ever drawn.

    Args:
        values: Q of all tokens, ``(N, T, V)``.
        tokens: drawn, ``(N, T)``.
        targets: q, ``(N, T)``.
        variance_weight: :math:`\lambda`.

    Returns:
        ``(N, T)``.
    """
    error = values.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - targets.detach()
    spread = (values - values.mean(-1, keepdim=True)).square().sum(-1)
    return error.square() + variance_weight * spread

"""Converts logits and class targets, in the forms that heads pass them, to probabilities and one-hot vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot_target(target: Tensor, pred: Tensor) -> Tensor:
    """Class targets as ``(N, C)`` in the type of the prediction.

    Args:
        target: class index ``(N,)`` from 0 to C; C, mmdet's background where there is no channel for it, gives a row of
            zeros. Or ``(N, C)``, probabilities, which are returned.
        pred: ``(N, C)``.
    """
    if target.dim() == pred.dim():
        return target.to(pred.dtype)
    num_classes = pred.shape[-1]
    return F.one_hot(target, num_classes + 1)[..., :num_classes].to(pred.dtype)


def log_probabilities(pred: Tensor, use_sigmoid: bool = False) -> tuple[Tensor, Tensor]:
    r"""Stable :math:`\log p` and :math:`\log(1 - p)` of logits ``(N, C)``, finite in value and gradient.

    With softmax, :math:`\log(1 - p_i)` is the log-sum-exp of the other logits minus that of all. That is
    ``log1p(-p)``, except for the largest p, the only one that can be close to 1.
    """
    if use_sigmoid:
        return F.logsigmoid(pred), F.logsigmoid(-pred)
    log_p = pred.log_softmax(-1)
    is_largest = F.one_hot(pred.argmax(-1), pred.shape[-1]).bool()
    rest_of_largest = pred.masked_fill(is_largest, -torch.inf).logsumexp(-1) - pred.logsumexp(-1)
    rest_of_others = torch.log1p(-log_p.exp().masked_fill(is_largest, 0))
    return log_p, torch.where(is_largest, rest_of_largest.unsqueeze(-1), rest_of_others)


def probabilities(pred: Tensor, use_sigmoid: bool = False) -> Tensor:
    """Class probabilities of logits ``(N, C)``."""
    return pred.sigmoid() if use_sigmoid else pred.softmax(-1)

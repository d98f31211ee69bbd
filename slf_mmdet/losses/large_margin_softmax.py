r"""Large-margin softmax (Liu et al., "Large-Margin Softmax Loss for Convolutional Neural Networks", ICML 2016).

The loss is cross-entropy; the last linear layer lowers the logit of the true class in training:
:math:`\|W_y\| \|x\| \cos\theta_y` becomes :math:`\|W_y\| \|x\| \psi(\theta_y)`, as if the angle were m times as wide.
"""

import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..utils.state import ScheduledValue, StepCounter
from .class_scores import checked_labels


def large_margin_logits(
    features: Tensor, weight: Tensor, target: Tensor, margin: int = 2, plain_share: float = 0.0
) -> Tensor:
    r"""Logits with a margin on the true class, Eq. 4-7.

    :math:`\psi(\theta) = (-1)^k \cos(m\theta) - 2k` on :math:`\theta \in [k\pi/m, (k+1)\pi/m]`, which decreases
    from 1 to :math:`1 - 2m`; :math:`\cos(m\theta)` is a polynomial in :math:`\cos\theta`, so no gradient of an arc
    cosine is needed.

    Args:
        features: x, ``(N, D)``.
        weight: W, ``(C, D)``.
        target: class index ``(N,)`` from 0 to C - 1.
        margin: m >= 1; 1 leaves the logits as they are.
        plain_share: share in [0, 1] of the unchanged logit of the true class; with the paper's
            :math:`\lambda` it is :math:`\lambda / (1 + \lambda)`.

    Returns:
        ``(N, C)``.

    Raises:
        ValueError: a class index is out of range.
    """
    target = checked_labels(target, len(weight))
    logits = F.linear(features, weight)
    if margin == 1:
        return logits
    of_target = logits.gather(1, target.unsqueeze(1)).squeeze(1)
    tiny = torch.finfo(features.dtype).tiny
    norms = (features.norm(dim=1) * weight.norm(dim=1)[target]).clamp_min(tiny)
    cosine = (of_target / norms).clamp(-1, 1)
    with torch.no_grad():
        k = (cosine.acos() * (margin / math.pi)).floor().clamp_max(margin - 1)
        sign = 1 - 2 * (k % 2)
    sine_squared = 1 - cosine.square()
    cosine_of_multiple = sum(
        (-1) ** n * math.comb(margin, 2 * n) * cosine ** (margin - 2 * n) * sine_squared**n
        for n in range(margin // 2 + 1)
    )
    psi = sign * cosine_of_multiple - 2 * k
    changed = (1 - plain_share) * norms * psi + plain_share * of_target
    return logits.scatter(1, target.unsqueeze(1), changed.unsqueeze(1))


@MODELS.register_module()
class LargeMarginLinear(nn.Module):
    r"""A linear layer without a bias whose logits have a margin in training.

    Args:
        in_features: D.
        out_features: C.
        margin: m >= 1; the paper uses 2 to 4.
        annealing: :math:`\lambda` >= 0, the weight of the unchanged logit against the changed one, a number or
            ``dict(value=..., schedulers=[...])`` in the vocabulary of mmengine's parameter schedulers, counted in
            training steps. The paper starts with a large one and lowers it, since the plain loss converges more easily.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self, in_features: int, out_features: int, margin: int = 2, annealing: Union[float, dict] = 0.0
    ) -> None:
        super().__init__()
        if not (isinstance(margin, int) and margin >= 1):
            raise ValueError(f"LargeMarginLinear: margin (the paper's m) must be an integer >= 1, found {margin!r}.")
        self.annealing = ScheduledValue(annealing)
        if not self.annealing.start >= 0:
            raise ValueError(f"LargeMarginLinear: annealing (the paper's lambda) must be >= 0, found {annealing!r}.")
        self.margin = margin
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Linear
        self.counter = StepCounter()

    def forward(self, features: Tensor, target: Optional[Tensor] = None) -> Tensor:
        """Logits ``(N, C)`` of features ``(N, D)``; with the class indices ``(N,)`` in training, with a margin."""
        if target is None:
            return F.linear(features, self.weight)
        plain = self.annealing.at(self.counter.value)
        if self.training:
            self.counter.advance()
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.weight.dtype)
            return large_margin_logits(features, self.weight, target, self.margin, plain / (1 + plain))

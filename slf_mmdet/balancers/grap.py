"""GraP: the weights whose step agrees most with the gradient of what is wanted in the end."""

import numpy as np
import torch
from mmdet.registry import MODELS
from scipy.optimize import nnls
from torch import Tensor

from ..utils.checks import is_count, is_number, require
from ..utils.numerics import clamp_min_eps
from ..utils.running_mean import RunningMean
from ..utils.state import StepCounter
from .base import BalancerOutput, LossBalancer
from .part_gradients import gradient, part_gradients
from .step import Step

RIDGE = 1e-3


@MODELS.register_module()
class GraPBalancer(LossBalancer):
    r"""Turns the step of the parts towards the gradient of the detection quality, under a quadratic constraint.

    After GraP (arXiv 2605.07756), which aligns pre-training losses with a downstream loss. With the gradients
    :math:`g_i` of the parts and r of the detection quality with respect to the shared parameters, the cosines
    :math:`C_{ij} = \cos(g_i, g_j)` and :math:`b_i = \cos(g_i, r)`:

    .. math:: \max_u\ b^T u \quad \text{subject to} \quad u^T C u = 1,\ u \ge 0, \qquad
              w_i = W \frac{u_i / \|g_i\|}{\sum_j u_j / \|g_j\|}

    The constraint is on the length of the step, not on the sum of the weights. So the optimum lies inside: parts that
    say the same share their weight, and no prior has to hold them. Of the base weights only the sum counts.

    C and b are running means over the comparisons (as the authors', with momentum 0.9), the norms root mean squares.
    A ridge of 1e-3 on C makes the solution unique where parts have the same gradient. Where no part agrees with the
    quality (:math:`b \le 0`) all gradients get the same norm. The authors do not normalise the sum of the weights: the
    learning rate takes up their scale there. The weights are the base weights until the first comparison.

    Cost of a comparison: a backward pass of each part and of the quality down to the shared parameters, and the
    prediction. The small problem is solved on the CPU by scipy's non-negative least squares.

    Args:
        momentum: of the running means, in [0, 1).
        interval: iterations >= 1 from one comparison to the next.
        kwargs: see :class:`LossBalancer`.

    Raises:
        ValueError: a setting is out of its range, or the step offers no detection quality or shared parameters.
    """

    def __init__(self, momentum: float = 0.9, interval: int = 5, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        right = is_number(momentum, 0) and momentum < 1
        require(right, self._name, 'momentum', 'in [0, 1)', momentum)
        require(is_count(interval), self._name, 'interval', 'an integer >= 1', interval, 'It counts iterations.')
        self.counted = self.base_weights.nonzero().flatten().tolist()  # the others are left alone
        size = len(self.counted)
        self.interval = interval
        self.counter = StepCounter()
        self.cosines = RunningMean(size * size + size, momentum)
        self.sq_grad_norms = RunningMean(size, momentum)
        self.register_buffer('weights', self.base_weights.clone())
        self.weights: Tensor

    def compute_weights(self, step: Step) -> BalancerOutput:
        if self.training and torch.is_grad_enabled():
            if self.counter.value % self.interval == 0:
                self._compare(step)
            self.counter.advance()
        return BalancerOutput(self.weights.to(step.losses.dtype, copy=True))

    def _compare(self, step: Step) -> None:
        instead = 'GradNormBalancer needs shared parameters alone, FAMOBalancer the losses alone.'
        parameters = step.shared_parameters(self._name, instead)
        quality = step.detection_quality(self._name, instead).value()
        wanted = step.average(-gradient(quality, parameters))  # losses fall where the quality rises
        gradients = step.average(part_gradients([step.parts[index] for index in self.counted], parameters))
        sq_norms = gradients.square().sum(1)
        unit = gradients / clamp_min_eps(sq_norms.sqrt()).unsqueeze(1)
        cosines = torch.cat([(unit @ unit.T).flatten(), unit @ wanted / clamp_min_eps(wanted.norm())])
        self.cosines.update(cosines, also_finite=sq_norms)
        self.sq_grad_norms.update(sq_norms, also_finite=cosines)
        self.weights.copy_(self._solved())

    def _solved(self) -> Tensor:
        size = len(self.counted)
        means = self.cosines.mean.cpu().numpy().astype(np.float64)
        share = interior_optimum(means[: size * size].reshape(size, size), means[size * size :])
        norms, base = self.sq_grad_norms.mean.sqrt(), self.base_weights[self.counted]
        counts = norms > 0
        # Parts without a gradient have no direction: they keep their base weight
        raw = torch.from_numpy(share).to(norms) * counts / clamp_min_eps(norms)
        scaled = raw * (base * counts).sum() / clamp_min_eps(raw.sum())
        weights = self.base_weights.clone()
        weights[self.counted] = torch.where(counts & (raw.sum() > 0), scaled, base)
        return weights


def interior_optimum(cosines: np.ndarray, agreement: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    r"""Solves :math:`\max_u b^T u` subject to :math:`u^T C u = 1, u \ge 0`, up to a factor.

    Where the maximum is > 0, its direction is that of the minimum of :math:`\frac 1 2 u^T C u - b^T u` over
    :math:`u \ge 0`, a non-negative least squares problem.

    Args:
        cosines: C ``(n, n)``, symmetric, positive semi-definite.
        agreement: b ``(n,)``.
        ridge: added to the diagonal of C.

    Returns:
        u ``(n,)`` that sums to 1; equal shares where no b is > 0.
    """
    size = len(agreement)
    if not (agreement > 0).any():
        return np.full(size, 1 / size)
    root = np.linalg.cholesky(cosines + ridge * np.eye(size))
    u, _ = nnls(root.T, np.linalg.solve(root, agreement))
    return u / u.sum() if u.sum() > 0 else np.full(size, 1 / size)

"""Parts relative to their own running means."""

from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...balancers.step import Step
from ...utils.checks import is_number, require
from ...utils.numerics import clamp_min_eps, mean_over_images
from ...utils.running_mean import RunningMean
from .base import Signal


@TASK_UTILS.register_module()
class RelativeLoss(Signal):
    r"""Costs of the parts relative to their running means, :math:`c_i = \ell_i / (W m_i)`.

    Which part is small by nature no longer matters, only which is smaller than it was, or in which image.

    Args:
        num_parts: see :class:`Signal`.
        momentum: in [0, 1) of the running mean :math:`m_i`, which includes the present batch.

    Raises:
        ValueError: ``momentum`` is out of its range.
    """

    def __init__(self, num_parts: int, momentum: float = 0.98) -> None:
        super().__init__(num_parts)
        right = is_number(momentum, 0) and momentum < 1
        require(right, type(self).__name__, 'momentum', 'in [0, 1)', momentum)
        self.means = RunningMean(num_parts, momentum)

    def costs(self, step: Step, prior_weights: Tensor, weights: Tensor) -> Tensor:
        losses = step.losses.detach()
        if self.training:
            self.means.update(step.average(mean_over_images(losses)))
        return losses / clamp_min_eps(prior_weights.sum() * self.means.mean)

"""Parts that fall more slowly than the others."""

from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...balancers.step import Step
from ...utils.checks import is_number, require
from ...utils.numerics import clamp_min_eps, mean_over_images
from ...utils.running_mean import RunningMean
from .base import Signal


@TASK_UTILS.register_module()
class LossRate(Signal):
    r"""Gives weight to parts that fall behind their running means: :math:`c_i = \log(m_i / \ell_i) / W`.

    The quantity whose minimum over the parts FAMO raises (Liu et al., NeurIPS 2023), over the horizon of the running
    mean :math:`m_i` instead of one step.

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
        return (clamp_min_eps(self.means.mean) / clamp_min_eps(losses)).log() / prior_weights.sum()

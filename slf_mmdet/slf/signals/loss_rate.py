"""Parts that fall more slowly than the others."""

from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...utils.numerics import clamp_min_eps
from .base import RunningMeanSignal


@TASK_UTILS.register_module()
class LossRate(RunningMeanSignal):
    r"""Gives weight to parts that fall behind their running means: :math:`c_i = \log(m_i / \ell_i) / W`.

    The quantity whose minimum over the parts FAMO raises (Liu et al., NeurIPS 2023), over the horizon of the running
    mean :math:`m_i` instead of one step.

    Args:
        num_parts: see :class:`Signal`.
        momentum: see :class:`RunningMeanSignal`.

    Raises:
        ValueError: ``momentum`` is out of its range.
    """

    def _costs_beside(self, losses: Tensor, means: Tensor, total_weight: Tensor) -> Tensor:
        return (means / clamp_min_eps(losses)).log() / total_weight

"""Parts relative to their own running means."""

from mmdet.registry import TASK_UTILS
from torch import Tensor

from .base import RunningMeanSignal


@TASK_UTILS.register_module()
class RelativeLoss(RunningMeanSignal):
    r"""Costs of the parts relative to their running means, :math:`c_i = \ell_i / (W m_i)`.

    Which part is small by nature no longer matters, only which is smaller than it was, or in which image.

    Args:
        num_parts: see :class:`Signal`.
        momentum: see :class:`RunningMeanSignal`.

    Raises:
        ValueError: ``momentum`` is out of its range.
    """

    def _costs_beside(self, losses: Tensor, means: Tensor, total_weight: Tensor) -> Tensor:
        return losses / (total_weight * means)

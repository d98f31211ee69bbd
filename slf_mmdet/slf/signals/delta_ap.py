"""Parts by the average precision that is lost with them."""

import logging
from typing import Dict, Optional

import torch
from mmdet.registry import TASK_UTILS
from mmengine.logging import print_log
from torch import Tensor

from ...balancers.step import Step
from ...utils.running_mean import RunningMean
from .base import ComparingSignal

LEAST_TOTAL = 0.1  # of average precision
MANY_BLANK = 50


@TASK_UTILS.register_module()
class DeltaAP(ComparingSignal):
    r"""Gives weight to parts by the average precision that is lost with them.

    TIDE (Bolya et al., ECCV 2020) shows where a detector loses average precision by oracle-fixing one error type at a
    time. Here it is one part of the loss at a time: with :math:`\Delta_i`, how much more average precision the
    detections of the batch would have if part i were solved
    (:meth:`~slf_mmdet.balancers.DetectionQuality.gains`; on the mean of the measurements so far, 0 where it is
    negative),

    .. math:: c_i = -\frac{\Delta_i}{W \max(\sum_j \Delta_j, 0.1)}.

    So gains that are less than 0.1 in total are followed in part: at the very start a batch has no average precision to
    speak of, and a part that makes a difference of 0.01 then is not what the detector lacks.

    This looks past the next step, and there is no positive feedback: a part of more weight is solved sooner, and then
    asks for less. What it cannot see is whether a part can be solved at all. As :math:`-1 \le W c_i \le 0`,
    ``kl_weight`` :math:`\kappa` keeps each part within a factor :math:`e^{1 / \kappa}` of its share before
    normalisation.

    Cost of a measurement: for each part a backward pass from the loss to the output of the YOLOv1 head, or to the
    features of ``BalancedDetector``'s detector, and the detections that follow, non-maximum suppression included,
    masks not. There one part is measured at a time, see :class:`ComparingSignal`.

    Weights stay at the prior as long as neither the detections nor those with a part solved find an object. In the
    first iterations of a training that is as it should be; after 50 measurements without an object a warning says so
    once.

    Args:
        num_parts: see :class:`Signal`.
        momentum: see :class:`ComparingSignal`.
        interval: see there.

    Raises:
        ValueError: a setting is out of its range; or, in a step, the detector does not offer a detection quality.
    """

    def __init__(self, num_parts: int, momentum: float = 0.999, interval: Optional[int] = None) -> None:
        super().__init__(num_parts, momentum, interval)
        self.gains = RunningMean(num_parts, momentum)
        self.register_buffer('blank', torch.zeros((), dtype=torch.long))  # measurements in a row that found no object
        self.blank: Tensor

    def monitored(self) -> Dict[str, Tensor]:
        """``ap_lost``: the mean average precision lost with each part so far."""
        return dict(ap_lost=self.gains.mean)

    def _measure(self, step: Step, prior_weights: Tensor, weights: Tensor) -> None:
        instead = (
            "Or take a signal that reads the losses alone: signal=dict(type='LossRate'), or dict(type='RelativeLoss')."
        )
        quality = step.detection_quality(self.label, instead)
        which = self.turn.parts(step.parts_at_once)
        found = step.average(quality.precisions(step.parts, step.names, which).to(self.gains.average))
        self._warn_if_blank(found)
        gains = self.turn.collect(which, (found[1:] - found[0]).unsqueeze(0))
        if gains is not None:
            self.gains.update(gains[0])

    def _warn_if_blank(self, precisions: Tensor) -> None:
        self.blank = torch.where((precisions == 0).all(), self.blank + 1, 0)
        if int(self.blank) == MANY_BLANK:
            print_log(
                f'{self.label}: the average precision of the last {MANY_BLANK} measured batches was exactly 0, also '
                'with any part of the loss solved. Until an object is found the weights stay at their prior. If the '
                "metric of the evaluation is above 0, lower score_thr in the detector's test_cfg; if it stays 0, take "
                "signal=dict(type='LossRate').",
                'current',
                logging.WARNING,
            )

    def _costs_now(self, prior_weights: Tensor) -> Tensor:
        return costs_of_gains(self.gains.mean, prior_weights.sum())


def costs_of_gains(gains: Tensor, total_weight: Tensor) -> Tensor:
    """The costs of :class:`DeltaAP`, ``(n,)``.

    Args:
        gains: ``(n,)`` average precision lost with each part.
        total_weight: W.
    """
    gains = gains.clamp_min(0)
    return -gains / (total_weight * gains.sum().clamp_min(LEAST_TOTAL))

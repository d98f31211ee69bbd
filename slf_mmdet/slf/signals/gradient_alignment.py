"""Parts that turn the step of the detector towards better detections of other images."""

from typing import Optional, Sequence

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...balancers.part_gradients import gradient, part_gradients
from ...balancers.step import Step
from ...utils.checks import require
from ...utils.numerics import clamp_min_eps, mean_over_images
from ...utils.renamed import reject_renamed
from ...utils.running_mean import RunningMean
from ...utils.state import LateTensor
from .base import ComparingSignal

TARGETS = ('detection_quality', 'training_loss')


@reject_renamed
@TASK_UTILS.register_module()
class GradientAlignment(ComparingSignal):
    r"""Gives weight to parts whose gradient agrees with that of the detection quality on another batch.

    A step of the detector goes along :math:`G = \sum_i g_i`, the sum of the weighted gradients of the parts, and its
    length is the optimizer's matter (Adam's does not depend on that of G at all). To first order a step of length 1
    raises the target on other images, whose gradient is r, by :math:`-\langle G, r \rangle / |G|`; the logarithm of the
    weight of part i changes that by

    .. math:: t_i = -\langle g_i, r \rangle + \frac{\langle g_i, G \rangle}{|G|^2} \langle G, r \rangle

    up to a factor: what a part gives to the direction, less its share in the step. So :math:`\sum_i t_i = 0`, and a
    part whose gradient is large has no advantage of it. r is taken at the measurement before, so no image is compared
    with itself; but its images are training images, see :class:`ValidationSignal` for others.

    Costs are running means m and v of :math:`t` and :math:`t^2`, over n measurements:

    .. math:: c_i = -\frac{k_i m_i}{W \max_j \sqrt{v_j}}, \qquad
              k_i = \max\left(0, 1 - \frac{v_i - m_i^2}{n m_i^2}\right)

    Divided by a root mean square, high-variance signals are down-weighted. What could be the noise of the mean does not
    count: k shrinks each of them as the positive-part estimator of James and Stein (1961). As :math:`|W c_i| \le 1`,
    ``kl_weight`` :math:`\kappa` keeps each part within a factor :math:`e^{1 / \kappa}` of its share before
    normalisation.

    The gradients are those of the shared parameters: at an output layer with rows of their own the parts' gradients
    are orthogonal.

    Cost of a measurement: a backward pass of each part down to the shared parameters, and with
    ``target='detection_quality'`` the prediction and its backward pass. In ``BalancedDetector`` one part is measured at
    a time, beside the weighted sum, see :class:`ComparingSignal`.

    Args:
        num_parts: see :class:`Signal`.
        target: ``'detection_quality'``, the soft average precision of the detections, or ``'training_loss'``, the
            negative sum of the parts at the prior's weights.
        momentum: see :class:`ComparingSignal`.
        interval: see there.

    Raises:
        ValueError: a setting is out of its range; or, in a step, the detector does not offer shared parameters or a
            detection quality.
    """

    values_of_a_part = 2

    def __init__(
        self,
        num_parts: int,
        target: str = 'detection_quality',
        momentum: float = 0.999,
        interval: Optional[int] = None,
    ) -> None:
        super().__init__(num_parts, momentum, interval)
        require(target in TARGETS, type(self).__name__, 'target', f'one of {list(TARGETS)}', target)
        self.target = target
        self.alignment = RunningMean(num_parts, momentum)
        self.sq_alignment = RunningMean(num_parts, momentum)
        self.target_gradient = LateTensor()

    def _costs_now(self, prior_weights: Tensor) -> Tensor:
        mean, square = self.alignment.mean, self.sq_alignment.mean
        noise = (square - mean.square()).clamp_min(0) / self.alignment.effective_count
        kept = (1 - noise / clamp_min_eps(mean.square())).clamp_min(0)
        return -kept * mean / clamp_min_eps(prior_weights.sum() * square.max().sqrt())

    def _measure(self, step: Step, prior_weights: Tensor, weights: Tensor) -> None:
        parameters = step.shared_parameters(self.label, "Or take signal=dict(type='DeltaAP').")
        if self.target == 'training_loss':
            wanted = -step.average(gradient(mean_over_images(step.losses) @ prior_weights, parameters))
        else:
            instead = f"Or take signal=dict(type='{type(self).__name__}', target='training_loss')."
            quality = step.detection_quality(self.label, instead).value()
            wanted = step.average(gradient(quality, parameters))
        before = self.target_gradient.value
        if before is not None:
            before = before.to(wanted)
        total = self._align(step, parameters, weights, before)
        # The gradient that the next measurement compares with, unless something is not finite. What is compared with
        # nan does not count
        finite = wanted.isfinite().all() & total.isfinite().all()
        self.target_gradient.value = torch.where(finite, wanted, torch.nan if before is None else before)

    def _align(
        self, step: Step, parameters: Sequence[Tensor], weights: Tensor, target_gradient: Optional[Tensor]
    ) -> Tensor:
        """Takes in the :math:`t_i` of the class docstring, if there is a target.

        Returns:
            G, ``(D,)``.
        """
        which = self.turn.parts(step.parts_at_once)
        weights = step.average(mean_over_images(weights))
        chosen = torch.tensor(which, device=weights.device)
        gradients = step.average(part_gradients([step.parts[index] for index in which], parameters))
        weighted = gradients * weights[chosen].unsqueeze(1)
        if len(which) == self.num_parts:
            total = weighted.sum(0)
        else:
            total = step.average(gradient(mean_over_images(step.losses) @ weights, parameters))
        if target_gradient is not None:
            share = weighted @ total / clamp_min_eps(total.square().sum())
            alignment = share * (total @ target_gradient) - weighted @ target_gradient
            measured = self.turn.collect(which, torch.stack([alignment, alignment.square()]))
            if measured is not None:
                self.alignment.update(measured[0])
                self.sq_alignment.update(measured[1], also_finite=measured[0])
        return total

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        if f'{prefix}target_gradient' in state_dict:  # of earlier versions
            state_dict[f'{prefix}target_gradient.value'] = state_dict.pop(f'{prefix}target_gradient')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

"""Fixed loss weights: the baseline that every other balancer is compared with."""

from mmdet.registry import MODELS

from .base import BalancerOutput, LossBalancer
from .step import Step


@MODELS.register_module()
class StaticBalancer(LossBalancer):
    r"""Weighs each part by a constant: :math:`L = \sum_i \lambda_i \ell_i`.

    With ``base_weights=dict(coord=5, cls=1, obj=1, noobj=0.5)`` this is the loss of YOLO (Redmon et al., CVPR 2016,
    Eq. 3). Arguments and errors are those of :class:`LossBalancer`.

    Examples:
        >>> import torch
        >>> balancer = StaticBalancer(base_weights=dict(coord=5, cls=1))
        >>> out = balancer(dict(coord=torch.tensor(0.2), cls=torch.tensor(0.5)))
        >>> round(float(out['loss_coord'] + out['loss_cls']), 6)
        1.5
    """

    def compute_weights(self, step: Step) -> BalancerOutput:
        return BalancerOutput(self.base_weights.to(step.losses.dtype))

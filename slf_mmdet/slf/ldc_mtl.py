"""LDC-MTL, which balances weighted losses with a router: the decision network serves as the router."""

from typing import Optional, Sequence

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..balancers import BalancerOutput
from ..balancers.step import Step
from ..utils.checks import is_number, require
from ..utils.numerics import weighted
from .decision_balancer import DecisionBalancer


@MODELS.register_module()
class LDCMTLBalancer(DecisionBalancer):
    r"""Learns weights under which the weighted losses are equal, image by image.

    "LDC-MTL: Balancing Multi-Task Learning through Scalable Loss Discrepancy Control", arXiv 2502.08585. A router, here
    SLF's decision network, maps the detector's output to weights w that sum to W. Router and detector minimise

    .. math:: L = \sum_i w_i \ell_i + \mu \sum_{i < n} \left| w_i \ell_i - w_{i+1} \ell_{i+1} \right|

    The weights start at the base weights. The features are detached, as everywhere but in
    :class:`PaperSLFBalancer`; the discrepancy compares neighbours, so the order of the parts matters a little.

    Args:
        discrepancy_weight: :math:`\mu` >= 0.
        granularity: ``'image'`` or ``'batch'``, see :class:`SLFBalancer`.
        hidden_dim: width of the router's hidden layer.
        parts: see :class:`~slf_mmdet.balancers.LossBalancer`, as for the following.
        base_weights: must be > 0 here.
        feature_dim: is needed.
        init_cfg: see there.

    Raises:
        ValueError: a setting is out of its range or not among its choices.
    """

    def __init__(
        self,
        discrepancy_weight: float = 0.1,
        granularity: str = 'image',
        hidden_dim: int = 64,
        parts: Optional[Sequence[str]] = None,
        base_weights: Optional[dict] = None,
        feature_dim: Optional[int] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        names = parts if parts is not None else base_weights or ()
        shares = torch.tensor([float((base_weights or {}).get(name, 1.0)) for name in names])
        super().__init__(
            dict(type='Softmax'),
            granularity,
            hidden_dim,
            shares / shares.sum(),
            parts=parts,
            base_weights=base_weights,
            feature_dim=feature_dim,
            init_cfg=init_cfg,
        )
        right = is_number(discrepancy_weight, 0)
        require(right, self._name, 'discrepancy_weight', 'a finite number >= 0', discrepancy_weight)
        for name, weight in dict(base_weights or {}).items():
            require(weight > 0, self._name, f'base_weights[{name!r}]', '> 0', weight)
        self.discrepancy_weight = float(discrepancy_weight)

    def compute_weights(self, step: Step) -> BalancerOutput:
        log_p = self.decision_network(self._features(step, detach=True))
        weights = self.total_weight * self.sampler(log_p, self._one_for_all(step))
        neighbours = weighted(weights, step.losses).diff(dim=-1).abs().sum(-1).mean()
        return BalancerOutput(self._record(weights), self.discrepancy_weight * neighbours)

    def mean_weights(self, output: Tensor) -> Tensor:
        return self.total_weight * output.exp()

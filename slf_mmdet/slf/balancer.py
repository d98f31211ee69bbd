"""The Stochastic Loss Function over the parts of a detector's loss, held to a prior and led by a signal."""

import math
from typing import Dict, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..balancers import BalancerOutput
from ..balancers.step import Step
from ..utils.checks import is_count, is_number, require
from ..utils.config import build_component
from ..utils.renamed import reject_renamed
from ..utils.state import StepCounter
from .decision_balancer import DecisionBalancer
from .decision_loss import decision_loss
from .priors import Prior
from .samplers import Sampler
from .signals import Signal

MAX_LOGIT_OFFSET = 3.0


@reject_renamed
@MODELS.register_module()
class SLFBalancer(DecisionBalancer):
    r"""Learns the weights of the parts with a decision network.

    For each image the decision network maps the detector's output to probabilities :math:`p` over the n parts (Liu &
    Lai, AAAI 2020, Eq. 4). The sampler makes :math:`\hat p` of them, by default 30 straight-through Gumbel-Softmax
    samples, stratified and averaged (Eq. 9-10). The detector minimises Eq. 11 times :math:`W = \sum_i \lambda_i`, the
    sum of the base weights :math:`\lambda`, so that learning rates tuned for those carry over:

    .. math:: L = W \sum_i \left[(1 - s)\, \hat p_i + s\, q_i\right] \ell_i

    The paper minimises it over detector and decision network alike, which collapses on a detector: all weight moves to
    the smallest part (see :class:`PaperSLFBalancer`). Here the decision network minimises

    .. math:: W \sum_i \hat p_i c_i + \kappa\, KL(p \| q)

    with costs :math:`c_i` of the parts that the signal measures, and the prior q, where p starts. On the way
    :math:`p_i` stays within :math:`e^{\pm 3} q_i`, up to normalisation: one bad step of the optimizer could otherwise
    leave a part so little that no gradient brings it back.

    Without settings it is the recommended one: the signal is the average precision that is lost with each part.

    Args:
        signal: config of a :class:`~slf_mmdet.slf.signals.Signal`, what the parts cost.
        sampler: config of a :class:`~slf_mmdet.slf.samplers.Sampler`, how weights are drawn from p.
        prior: config of a :class:`~slf_mmdet.slf.priors.Prior`, q.
        kl_weight: :math:`\kappa` >= 0, the KL penalty coefficient.
        prior_share: s in [0, 1], the share of the weight that always stays at the prior.
        granularity: ``'image'`` for weights of their own for each image, ``'batch'`` for one set from the mean of the
            features, in distributed training that of all processes. Parts that are scalars always get the latter.
        warmup: iterations >= 0 at the start in which the detector gets the prior's weights, while the decision network
            learns already.
        hidden_dim: width of the decision network's hidden layer.
        parts: see :class:`~slf_mmdet.balancers.LossBalancer`, as for the following. YOLOV1Head and BalancedDetector
            fill them in.
        base_weights: must be > 0 here.
        feature_dim: is needed.
        init_cfg: see there.

    Raises:
        ValueError: a setting is out of its range or not among its choices; or, in a step, the detector does not offer
            what the signal or the prior needs.
    """

    def __init__(
        self,
        signal: Union[dict, Signal] = dict(type='DeltaAP'),  # noqa: B006
        sampler: Union[dict, Sampler] = dict(type='StratifiedGumbelSoftmax', num_samples=30),  # noqa: B006
        prior: Union[dict, Prior] = dict(type='BaseWeights'),  # noqa: B006
        kl_weight: float = 0.5,
        prior_share: float = 0.0,
        granularity: str = 'image',
        warmup: int = 0,
        hidden_dim: int = 64,
        parts: Optional[Sequence[str]] = None,
        base_weights: Optional[dict] = None,
        feature_dim: Optional[int] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        names = parts if parts is not None else base_weights or ()
        super().__init__(
            sampler,
            granularity,
            hidden_dim,
            torch.full((len(names),), 1 / max(len(names), 1)),
            parts=parts,
            base_weights=base_weights,
            feature_dim=feature_dim,
            init_cfg=init_cfg,
        )
        require(is_number(kl_weight, 0), self._name, 'kl_weight', 'a finite number >= 0', kl_weight)
        require(is_number(prior_share, 0, 1), self._name, 'prior_share', 'in [0, 1]', prior_share)
        require(is_count(warmup, 0), self._name, 'warmup', 'an integer >= 0', warmup, 'It counts iterations.')
        for name, weight in dict(base_weights or {}).items():
            hint = 'A part that should not count has no place here.'
            require(weight > 0, self._name, f'base_weights[{name!r}]', '> 0', weight, hint)
        self.kl_weight = float(kl_weight)
        self.prior_share = float(prior_share)
        self.warmup = warmup
        self.counter = StepCounter()
        self.prior: Prior = build_component(prior, f'{self._name}.prior', Prior, base_weights=self.base_weights.clone())
        self.signal: Signal = build_component(signal, f'{self._name}.signal', Signal, num_parts=len(self.parts))

    def compute_weights(self, step: Step) -> BalancerOutput:
        iteration = self.counter.value
        if self.training:
            self.counter.advance()
            if torch.is_grad_enabled():
                self.prior.update(step, iteration)
        log_p = self._log_p(self.decision_network(self._features(step, detach=True)))
        weights = self._weights(self.sampler(log_p, self._one_for_all(step)))
        q = self.prior.shares()
        at_prior = self.total_weight * q
        applied = at_prior.expand_as(weights) if iteration < self.warmup else weights.detach()
        costs = self.signal.costs(step, at_prior, applied)
        aux_loss = decision_loss(weights, costs, log_p, q, self.kl_weight)
        return BalancerOutput(self._record(applied), aux_loss)

    def mean_weights(self, output: Tensor) -> Tensor:
        return self._weights(self._log_p(output).exp())

    def monitored(self) -> Dict[str, Tensor]:
        """What the signal has measured of each part."""
        return self.signal.monitored()

    def collapse_advice(self) -> str:
        return (
            f'Likely cause: the prior holds too weakly against {self.signal.label} (kl_weight={self.kl_weight:g}, '
            f'prior_share={self.prior_share:g}). Raise kl_weight, set prior_share above 0, or lower the decision '
            "network's learning rate with optim_wrapper=dict(paramwise_cfg=dict(custom_keys={'loss_balancer': "
            'dict(lr_mult=0.1)})).'
        )

    def _log_p(self, output: Tensor) -> Tensor:
        r"""Log-probabilities ``(N, n)``: :math:`\log q` plus a bounded offset of each logit."""
        offset = output + math.log(len(self.parts))  # the decision network starts at 1 / n
        offset = MAX_LOGIT_OFFSET * F.softsign(offset / MAX_LOGIT_OFFSET)
        return (offset + self.prior.shares().log()).log_softmax(-1)

    def _weights(self, shares: Tensor) -> Tensor:
        """Weights ``(N, n)`` from samples or probabilities ``(N, n)``: a share of them stays at the prior."""
        return self.total_weight * ((1 - self.prior_share) * shares + self.prior_share * self.prior.shares())

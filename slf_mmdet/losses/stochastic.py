"""The Stochastic Loss Function over interchangeable losses, held to a prior and led by a signal."""

from typing import Any, Optional, Sequence, Tuple, Union

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..balancers.step import Step
from ..slf.decision_loss import decision_loss
from ..slf.samplers import Sampler
from ..slf.signals import Signal
from ..utils.checks import is_number, require
from ..utils.config import build_component
from ..utils.renamed import reject_renamed
from .candidate_mixture import CandidateMixture


@reject_renamed
@MODELS.register_module()
class StochasticLoss(CandidateMixture):
    r"""Mixes candidate losses, sample by sample, with weights that a decision network learns.

    For each sample (an image, an anchor, a box) the decision network maps the prediction of the head to probabilities
    p over the n candidates (Liu & Lai, AAAI 2020, Eq. 4); the sampler makes weights :math:`\hat p` of them (Eq. 9-10),
    and the loss of the sample is :math:`\sum_i \hat p_i \ell_i` (Eq. 11). As in :class:`~slf_mmdet.slf.SLFBalancer`,
    the decision network minimises :math:`\sum_i \hat p_i c_i + \kappa\, KL(p \| q)` with the costs c of a signal, and
    the prior q, where p starts.

    Can be used for any ``loss_cls``, ``loss_bbox`` or ``loss_mask`` of mmdet. Candidates apply weights per sample or
    element themselves; their own ``reduction`` has no effect, their ``loss_weight`` has. With the default signal the
    decision network prefers candidates that are small by scale: bring them to one scale, see ``over_elements``.

    In distributed training, heads that leave out a loss where a batch has no object need
    ``find_unused_parameters=True``, since this loss has parameters.

    Args:
        candidates: see :class:`~slf_mmdet.losses.CandidateMixture`, as for the others that are not listed here.
        feature_dim: see there.
        signal: config of a :class:`~slf_mmdet.slf.Signal`; those that need a detector are not available here.
        sampler: config of a :class:`~slf_mmdet.slf.Sampler`.
        base_weights: a number > 0 for each candidate, q up to normalisation; ``None`` for equal ones.
        kl_weight: :math:`\kappa` >= 0, the KL penalty coefficient.
        hidden_dim: width of the decision network's hidden layer.
        kwargs: see :class:`~slf_mmdet.losses.CandidateMixture`.

    Raises:
        ValueError: see there; or ``base_weights`` is not one number > 0 for each candidate, or ``kl_weight`` is < 0.
    """

    def __init__(
        self,
        candidates: Sequence[dict],
        feature_dim: int,
        signal: Union[dict, Signal] = dict(type='TrainingLoss'),  # noqa: B006
        sampler: Union[dict, Sampler] = dict(type='MultipleGumbelSoftmax', num_samples=3),  # noqa: B006
        base_weights: Optional[Sequence[float]] = None,
        kl_weight: float = 20.0,
        hidden_dim: int = 64,
        **kwargs: Any,
    ) -> None:
        owner, count = type(self).__name__, len(candidates)
        weights = [1.0] * count if base_weights is None else base_weights
        right = not isinstance(weights, str) and len(weights) == count and all(is_number(w) and w > 0 for w in weights)
        wanted = f'None or {count} numbers > 0, one of each candidate'
        require(right, owner, 'base_weights', wanted, base_weights)
        require(is_number(kl_weight, 0), owner, 'kl_weight', 'a finite number >= 0', kl_weight)
        prior = torch.tensor(weights, dtype=torch.get_default_dtype()) / sum(weights)
        super().__init__(candidates, feature_dim, sampler, hidden_dim, prior, **kwargs)
        self.register_buffer('prior', prior, persistent=False)
        self.prior: Tensor
        self.kl_weight = float(kl_weight)
        self.signal: Signal = build_component(signal, f'{owner}.signal', Signal, num_parts=count)

    def _compute_weights(self, losses: Tensor, features: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        log_p = self.decision_network(features.detach())
        weights = self.sampler(log_p)
        if len(losses) == 0:
            return weights, None  # parameters get a gradient of 0, as DistributedDataParallel expects
        # Processes call the loss a different number of times, so they exchange nothing here
        step = Step(losses, self.names, features, training=False)
        costs = self.signal.costs(step, self.prior, weights.detach())
        return weights.detach(), decision_loss(weights, costs, log_p, self.prior, self.kl_weight)

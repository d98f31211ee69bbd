"""The Stochastic Loss Function over the parts of a loss (Liu & Lai, AAAI 2020)."""

from typing import Optional, Sequence, Union

import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import LossBalancer, Weighing
from .checks import require
from .decision import DecisionNetwork
from .objectives import JointObjective, Shared, build_objective
from .sampling import SampledWeights


@MODELS.register_module()
class SLFBalancer(SampledWeights, LossBalancer):
    r"""Learns the weights of the parts with a decision network and averaged Gumbel-Softmax samples.

    For each image the decision network maps the detector's output to probabilities :math:`p` over the n parts
    (Eq. 4); K straight-through samples of it, averaged, are :math:`\hat p` (Eq. 9-10). The objective is Eq. 11 times
    :math:`W = \sum_i \lambda_i`, the sum of the base weights :math:`\lambda`, so that learning rates tuned for those
    carry over:

    .. math:: L = W \sum_i \left[(1 - s)\, \hat p_i + s\, q_i\right] \ell_i, \qquad q_i = \lambda_i / W

    The paper minimises it over detector and decision network alike (``objective='joint'``). Taken literally that
    collapses on a detector: all weight moves to the smallest part. So the decision network minimises
    :math:`L / \bar L + \kappa\, KL(p \| q)` here, where the anchor :math:`\kappa` (``kl_weight``) is a price on leaving
    the base weights and :math:`\bar L = \sum_i \lambda_i \ell_i` a constant that takes the unit out. Its optimum
    :math:`p_i \propto q_i \exp(-W \ell_i / \kappa \bar L)` favours parts that are small already, but leaves each part
    at least :math:`q_i e^{-1 / \kappa q_i}`: it cannot collapse. A second anchor is the share :math:`s` of the weight
    that is never given away (``base_share``).
    The paper as written is ``initial='uniform', detach_context=False, kl_weight=0, num_samples=3``.

    Args:
        num_samples: K >= 1 samples per image. Small K leaves parts of small p out of most images. A
            ``dict(value=..., schedulers=[...])`` in the vocabulary of mmengine's parameter schedulers, counted in
            iterations, changes it over time; its values are rounded.
        tau: temperature > 0 of the samples, or a schedule as for ``num_samples``.
        sampler: ``'gumbel'``, or ``'softmax'`` for p itself (the paper's ablation; K and tau have no effect).
        hard: one-hot samples with the gradient of the relaxed ones, as in the paper; ``False`` relaxes them.
        granularity: ``'image'`` for weights of their own for each image, ``'batch'`` for one set from the mean
            context. Parts that are scalars always get the latter.
        detach_context: keep the decision network's gradient out of the detector.
        initial: p at the start, ``'base'`` for :math:`q` or ``'uniform'``.
        objective: what the decision network minimises, by name or as ``dict(type=name, ...)`` with its settings:
            ``'joint'`` (Algorithm 1), ``'normalized'``, ``'improvement'`` or ``'heldout'``, see
            :mod:`~slf_mmdet.balancers.objectives`.
        kl_weight: :math:`\kappa` >= 0; 0 for Algorithm 1 as it is written, one loss for both and no anchor.
        base_share: :math:`s` in [0, 1], the share that stays at the base weights.
        warmup: iterations >= 0 at the start in which the detector gets the base weights, while the decision network
            learns already.
        hidden_dim: width of the decision network's hidden layer.
        seed: of the samples; ``None`` follows the seed of the run. The checkpoint carries it.
        parts, base_weights, context_dim, init_cfg: see :class:`LossBalancer`; base weights must be > 0 here, and
            ``context_dim`` is needed. The YOLOv1 head fills them in.

    Raises:
        ValueError: a setting is out of its range or not among its choices.
    """

    def __init__(
        self,
        num_samples: Union[int, dict] = 30,
        tau: Union[float, dict] = 1.0,
        sampler: str = 'gumbel',
        hard: bool = True,
        granularity: str = 'image',
        detach_context: bool = True,
        initial: str = 'base',
        objective: Union[str, dict] = 'joint',
        kl_weight: float = 20.0,
        base_share: float = 0.0,
        warmup: int = 0,
        hidden_dim: int = 64,
        seed: Optional[int] = None,
        parts: Optional[Sequence[str]] = None,
        base_weights: Optional[dict] = None,
        context_dim: Optional[int] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(parts, base_weights, context_dim, init_cfg)
        for key, value, choices in (
            ('granularity', granularity, ('image', 'batch')),
            ('initial', initial, ('base', 'uniform')),
        ):
            require(value in choices, self._name, key, f'one of {list(choices)}', value)
        require(0 <= kl_weight < float('inf'), self._name, 'kl_weight', 'a finite number >= 0', kl_weight)
        hint = 'It is a share of the weight.'
        require(0 <= base_share <= 1, self._name, 'base_share', 'in [0, 1]', base_share, hint)
        hint = 'It counts iterations.'
        require(isinstance(warmup, int) and warmup >= 0, self._name, 'warmup', 'an integer >= 0', warmup, hint)
        for name, weight in dict(base_weights or {}).items():
            hint = 'A part that should not count has no place here.'
            require(weight > 0, self._name, f'base_weights[{name!r}]', '> 0', weight, hint)
        if context_dim is None:
            raise ValueError('SLFBalancer: context_dim, the size of what the decision network sees, must be given.')

        self.granularity = granularity
        self.detach_context = detach_context
        self.kl_weight = float(kl_weight)
        self.base_share = float(base_share)
        self.warmup = warmup
        try:
            self.objective = build_objective(objective, len(self.parts))
        except ValueError as error:
            raise ValueError(f'{self._name}: {error}') from None
        self.register_buffer('base_p', self.base_weights / self.total_weight, persistent=False)
        self.base_p: Tensor
        start = self.base_p if initial == 'base' else torch.full_like(self.base_p, 1 / len(self.parts))
        self.decision_network = DecisionNetwork(context_dim, start, hidden_dim)
        self._init_sampling(num_samples, tau, sampler, hard, seed)

    @property
    def needs_shared(self) -> bool:  # type: ignore[override]
        return self.objective.needs_shared

    def weigh(self, losses: Tensor, context: Optional[Tensor], shared: Shared = None) -> Weighing:
        log_p = self._decide(losses, context)
        warm = self.counter.value < self.warmup
        weights = self.weights_of(self._sample(log_p))
        if self.literal:
            return Weighing(weights.mul(0).add(self.base_weights) if warm else weights)
        costs = self.objective.costs(losses, self.base_weights, context if shared is None else shared)
        kl = (log_p.exp() * (log_p - self.base_p.log())).sum(-1).mean()
        goal = (weights * costs).sum(-1).mean() + self.kl_weight * kl
        return Weighing(self.base_weights.expand_as(weights) if warm else weights.detach(), penalty=goal)

    def weights_of(self, shares: Tensor) -> Tensor:
        """Weights ``(N, n)`` from samples or probabilities ``(N, n)``: a part of them stays at the base weights."""
        return self.total_weight * ((1 - self.base_share) * shares + self.base_share * self.base_p)

    @property
    def literal(self) -> bool:
        """Algorithm 1 as it is written: one loss for detector and decision network."""
        return self.kl_weight == 0 and isinstance(self.objective, JointObjective)

    def reset(self) -> None:
        """Puts the decision network back to its initial probabilities; schedules and samples go on."""
        self.decision_network.reset()

    def _decide(self, losses: Tensor, context: Optional[Tensor]) -> Tensor:
        """Log-probabilities ``(N, n)``, or ``(1, n)`` for one set of weights."""
        if context is None or context.dim() != 2 or context.shape[1] != self.context_dim:
            found = None if context is None else tuple(context.shape)
            raise ValueError(f'SLFBalancer: context must be of shape (N, {self.context_dim}), found {found}.')
        if self.detach_context:
            context = context.detach()
        if self.granularity == 'batch' or losses.dim() == 1:
            context = context.mean(0, keepdim=True)
        return self.decision_network(context)

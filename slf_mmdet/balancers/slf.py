"""The Stochastic Loss Function over the parts of a loss (Liu & Lai, AAAI 2020)."""

from typing import Optional, Sequence, Union

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .anchors import ANCHORS
from .base import LossBalancer, Weighing
from .checks import is_count, is_number, require
from .criterion import AskedCriterion
from .decision import DecisionNetwork
from .objectives import JointObjective, Shared, build_objective
from .sampling import SampledWeights

MAX_TILT = 3.0


@MODELS.register_module()
class SLFBalancer(SampledWeights, LossBalancer):
    r"""Learns the weights of the parts with a decision network.

    For each image the decision network maps the detector's output to probabilities :math:`p` over the n parts
    (Eq. 4). With ``sampler='gumbel'``, K straight-through Gumbel-Softmax samples of it, averaged, are :math:`\hat p`
    (Eq. 9-10); by default :math:`\hat p = p`, their mean, since sampling adds noise to the detector's training and
    nothing to a decision network that knows what each part costs. The objective is Eq. 11 times
    :math:`W = \sum_i \lambda_i`, the sum of the base weights :math:`\lambda`, so that learning rates tuned for those
    carry over:

    .. math:: L = W \sum_i \left[(1 - s)\, \hat p_i + s\, q_i\right] \ell_i

    The paper minimises it over detector and decision network alike (``objective='joint'``). Taken literally that
    collapses on a detector: all weight moves to the smallest part. So the decision network minimises
    :math:`L / \bar L + \kappa\, KL(p \| q)` here. It starts at the ``anchor`` q, which is :math:`q_i = \lambda_i / W`
    by default; :math:`\kappa` (``kl_weight``) is a price on leaving it, and :math:`\bar L = W \sum_i q_i \ell_i` a
    constant that takes the unit out. The optimum :math:`p_i \propto q_i \exp(-W \ell_i / \kappa \bar L)` favours parts
    that are small already, but leaves each part at least :math:`q_i e^{-1 / \kappa q_i}`: it does not collapse. On the
    way there no :math:`p_i` leaves :math:`e^{\pm 3} q_i`, up to their sum (see :meth:`tilted`). A second anchor is the
    share :math:`s` of the weight that is never given away (``base_share``).
    The paper as written is ``num_samples=3, initial='uniform', detach_context=False, kl_weight=0``.

    Args:
        num_samples: K >= 1 samples per image. Small K leaves parts of small p out of most images. A
            ``dict(value=..., schedulers=[...])`` in the vocabulary of mmengine's parameter schedulers, counted in
            iterations, changes it over time; its values are rounded. ``None`` means 30 where samples are drawn.
        tau: temperature > 0 of the samples, or a schedule as for ``num_samples``.
        sampler: ``'softmax'`` for p itself, ``'gumbel'`` for samples of it, as in the paper. ``None`` means gumbel
            where ``num_samples`` or ``tau`` is given, softmax otherwise.
        hard: one-hot samples with the gradient of the relaxed ones, as in the paper; ``False`` relaxes them.
        granularity: ``'image'`` for weights of their own for each image, ``'batch'`` for one set from the mean
            context, in distributed training that of all processes. Parts that are scalars always get the latter.
        noise: of the samples in distributed training: ``'independent'`` in each process, or ``'shared'``: the i-th
            images of all processes get the same noise. ``None`` means independent for weights by image, as it is among
            the images of one process, and shared for one set of weights, which is then equal in all processes.
        detach_context: keep the decision network's gradient out of the detector.
        initial: p at the start, ``'base'`` for :math:`q` or ``'uniform'``.
        anchor: :math:`q`, ``'base'`` for the base weights' shares, or ``'gradients'`` for shares in which all parts
            pull equally hard, see :class:`~slf_mmdet.balancers.anchors.GradientAnchor`. Of the base weights only the
            sum counts then.
        objective: what the decision network minimises, by name or as ``dict(type=name, ...)`` with its settings:
            ``'joint'`` (Algorithm 1), ``'normalized'``, ``'improvement'``, ``'heldout'`` or ``'delta_ap'``, see
            :mod:`~slf_mmdet.balancers.objectives`.
        kl_weight: :math:`\kappa` >= 0; 0 for Algorithm 1 as it is written, one loss for both and no anchor. ``None``
            takes what suits the objective: 0.3 for ``'heldout'``, 1 for ``'delta_ap'``, 20 for the others.
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
        num_samples: Union[int, dict, None] = None,
        tau: Union[float, dict] = 1.0,
        sampler: Optional[str] = None,
        hard: bool = True,
        granularity: str = 'image',
        detach_context: bool = True,
        initial: str = 'base',
        anchor: str = 'base',
        objective: Union[str, dict] = 'joint',
        kl_weight: Optional[float] = None,
        base_share: float = 0.0,
        warmup: int = 0,
        hidden_dim: int = 64,
        seed: Optional[int] = None,
        noise: Optional[str] = None,
        parts: Optional[Sequence[str]] = None,
        base_weights: Optional[dict] = None,
        context_dim: Optional[int] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(parts, base_weights, context_dim, init_cfg)
        for key, value, choices in (
            ('granularity', granularity, ('image', 'batch')),
            ('initial', initial, ('base', 'uniform')),
            ('anchor', anchor, tuple(ANCHORS)),
        ):
            require(value in choices, self._name, key, f'one of {list(choices)}', value)
        if kl_weight is not None:
            require(is_number(kl_weight, 0), self._name, 'kl_weight', 'a finite number >= 0', kl_weight)
        hint = 'The base weights are no anchor then, and p starts at the one that is.'
        require(initial == 'base' or anchor == 'base', self._name, 'initial', "'base' with this anchor", initial, hint)
        hint = 'It is a share of the weight.'
        require(is_number(base_share, 0, 1), self._name, 'base_share', 'in [0, 1]', base_share, hint)
        hint = 'It counts iterations.'
        require(is_count(warmup, 0), self._name, 'warmup', 'an integer >= 0', warmup, hint)
        for name, weight in dict(base_weights or {}).items():
            hint = 'A part that should not count has no place here.'
            require(weight > 0, self._name, f'base_weights[{name!r}]', '> 0', weight, hint)
        if context_dim is None:
            raise ValueError('SLFBalancer: context_dim, the size of what the decision network sees, must be given.')

        self.granularity = granularity
        self.detach_context = detach_context
        self.base_share = float(base_share)
        self.warmup = warmup
        try:
            self.objective = build_objective(objective, len(self.parts))
        except ValueError as error:
            raise ValueError(f'{self._name}: {error}') from None
        self.kl_weight = self.objective.default_kl_weight if kl_weight is None else float(kl_weight)
        self.anchor = ANCHORS[anchor](self.base_weights)
        tilt = torch.ones(len(self.parts)) if initial == 'base' else 1 / self.anchor.shares()
        self.decision_network = DecisionNetwork(context_dim, tilt / tilt.sum(), hidden_dim)
        if sampler is None:
            sampler = 'softmax' if num_samples is None and tau == 1.0 else 'gumbel'
        self._init_sampling(30 if num_samples is None else num_samples, tau, sampler, hard, seed, noise)

    @property
    def needs_shared(self) -> bool:  # type: ignore[override]
        return self.objective.needs_shared or self.anchor.needs_gradients

    @property
    def needs_output_layer(self) -> bool:  # type: ignore[override]
        return self.anchor.needs_gradients

    @property
    def needs_criterion(self) -> bool:  # type: ignore[override]
        return self.objective.needs_criterion

    def weigh(
        self,
        losses: Tensor,
        context: Optional[Tensor],
        shared: Shared = None,
        criterion: AskedCriterion = None,
        output_layer: Shared = None,
    ) -> Weighing:
        shared = context if shared is None else shared
        output_layer = shared if output_layer is None else output_layer
        step = self.counter.value
        if self.training and torch.is_grad_enabled() and self.anchor.due(step):
            self.anchor.update(self.anchor.measure(losses, output_layer))
        log_p = self._decide(losses, context)
        weights = self.weights_of(self._sample(log_p, one_for_all=self._one_for_all(losses)))
        q = self.anchor.shares()
        anchored = self.total_weight * q
        if self.literal:
            return Weighing(weights.mul(0).add(anchored) if step < self.warmup else weights)
        applied = anchored.expand_as(weights) if step < self.warmup else weights.detach()
        costs = self.objective.costs(losses, anchored, applied, shared, criterion)
        kl = (log_p.exp() * (log_p - q.log())).sum(-1).mean()
        goal = (weights * costs).sum(-1).mean() + self.kl_weight * kl
        return Weighing(applied, penalty=goal)

    def tilted(self, tilt: Tensor) -> Tensor:
        r"""Log-probabilities ``(N, n)`` from what the decision network puts out: :math:`\log q` plus its tilt.

        Only Algorithm 1 takes the tilt as it is. Elsewhere a softsign keeps it within :math:`\pm 3` of where it began:
        one bad step of the optimizer could otherwise leave a part so little that no gradient brings it back.
        """
        if not self.literal:
            begun = self.decision_network.initial.log()
            tilt = begun + MAX_TILT * F.softsign((tilt - begun) / MAX_TILT)
        return (tilt + self.anchor.shares().log()).log_softmax(-1)

    def weights_of(self, shares: Tensor) -> Tensor:
        """Weights ``(N, n)`` from samples or probabilities ``(N, n)``: a part of them stays at the base weights."""
        return self.total_weight * ((1 - self.base_share) * shares + self.base_share * self.anchor.shares())

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
        if self._one_for_all(losses):
            context = self.mean_over_processes(context.mean(0, keepdim=True))
        return self.tilted(self.decision_network(context))

    def _one_for_all(self, losses: Tensor) -> bool:
        return self.granularity == 'batch' or losses.dim() == 1

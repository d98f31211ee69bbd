"""The Stochastic Loss Function over interchangeable losses (Liu & Lai, AAAI 2020), for any loss slot of mmdet."""

from typing import Any, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from mmdet.models.losses.utils import weight_reduce_loss
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..balancers import DecisionNetwork, SampledWeights
from ..balancers.checks import is_number, require
from ..balancers.config import checked_cfg
from ..balancers.objectives import JointObjective
from .base import REDUCTIONS


@MODELS.register_module()
class StochasticLoss(SampledWeights):
    r"""Mixes candidate losses, sample by sample, with weights that a decision network learns.

    For each sample (an image, an anchor, a box) the decision network maps what the head put out for it to probabilities
    over the n candidates (Eq. 4); K straight-through Gumbel-Softmax samples of them, averaged, are the weights
    :math:`\hat p` (Eq. 9-10), and the loss of the sample is :math:`\sum_i \hat p_i \ell_i` (Eq. 11).

    The paper as written is ``kl_weight=0, detach_context=False``: all weight goes to the smallest candidate then, and a
    network can lose a class by it (docs/classification.md). As in :class:`~slf_mmdet.balancers.SLFBalancer`, an anchor
    holds p near its start by default.

    Goes wherever mmdet takes a ``loss_cls``, ``loss_bbox`` or ``loss_mask``. Candidates apply weights per sample or
    element themselves; their own ``reduction`` has no effect, their ``loss_weight`` has: the decision network prefers
    the smaller candidates, so bring them to the same scale.

    Args:
        candidates: configs of registered losses, ours or mmdet's. A key ``name`` besides names the candidate in the
            log; it is the type otherwise.
        context_dim: size of a sample of the prediction: C, or C + 1 in heads with softmax and a background, for
            ``loss_cls``; 4 for ``loss_bbox``; H * W for ``loss_mask``. With 1 every sample gets the same weights.
        num_samples: K >= 1.
        tau: temperature > 0 of the samples, or ``dict(value=..., schedulers=[...])``, counted in calls of the loss.
        sampler: ``'gumbel'``, or ``'softmax'`` for p itself.
        hard: one-hot samples with the gradient of the relaxed ones, as in the paper; ``False`` relaxes them.
        initial: p at the start: ``'uniform'``, or a number > 0 for each candidate, in proportion.
        hidden_dim: width of the decision network's hidden layer.
        detach_context: keep the decision network's gradient out of the head.
        kl_weight: :math:`\kappa` >= 0, price on leaving the initial probabilities q: the decision network minimises the
            loss relative to that of q, plus :math:`\kappa\, KL(p \| q)`. 0 for the paper's Algorithm 1, in which both
            networks minimise the loss.
        seed: of the samples; ``None`` follows the seed of the run. The checkpoint carries it.
        noise: in distributed training, ``'independent'`` in each process, or ``'shared'``. Heads that leave out a loss
            where a batch has no object need ``find_unused_parameters=True`` there, since this loss has parameters.
        use_sigmoid: as mmdet's heads ask it of ``loss_cls``; the candidates must agree.
        use_mask: for ``loss_mask`` of mask heads, which predict a mask of each class and give the class as third
            argument: candidates see the mask of that class as H * W logits, for sigmoid.
        reduction: ``'mean'``, ``'sum'``, or ``'none'`` for one value per sample.
        loss_weight: factor of the result.

    Raises:
        ValueError: a setting is out of its range, candidates have the same name or disagree on sigmoid and softmax, one
            of them has no value per sample, or a prediction does not have ``context_dim`` numbers per sample.
    """

    def __init__(
        self,
        candidates: Sequence[dict],
        context_dim: int,
        num_samples: int = 3,
        tau: Union[float, dict] = 1.0,
        sampler: str = 'gumbel',
        hard: bool = True,
        initial: Union[str, Sequence[float]] = 'uniform',
        hidden_dim: int = 64,
        detach_context: bool = True,
        kl_weight: float = 20.0,
        seed: Optional[int] = None,
        noise: str = 'independent',
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        require(len(candidates) > 0, owner, 'candidates', 'a list of at least one loss config', candidates)
        require(reduction in REDUCTIONS, owner, 'reduction', f'one of {list(REDUCTIONS)}', reduction)
        require(is_number(kl_weight, 0), owner, 'kl_weight', 'a finite number >= 0', kl_weight)
        configs = [_checked_candidate(index, cfg) for index, cfg in enumerate(candidates)]
        self.names = tuple(cfg.pop('name', None) or getattr(cfg['type'], '__name__', cfg['type']) for cfg in configs)
        duplicates = sorted({name for name in self.names if self.names.count(name) > 1})
        if duplicates:
            raise ValueError(f"{owner}: candidates share the names {duplicates}. Give each a key name='...'.")
        self.candidates = nn.ModuleList(MODELS.build(cfg) for cfg in configs)
        self.context_dim = context_dim
        self.detach_context = detach_context
        self.kl_weight = float(kl_weight)
        self.use_sigmoid = use_sigmoid
        self.use_mask = use_mask
        self.reduction = reduction
        self.loss_weight = loss_weight
        self._check_activations()
        self._adopt_custom_interface()

        self.register_buffer('initial_p', self._initial_p(initial), persistent=False)
        self.initial_p: Tensor
        self.decision_network = DecisionNetwork(context_dim, self.initial_p, hidden_dim)
        self.objective = JointObjective(len(self.candidates))
        self._init_sampling(num_samples, tau, sampler, hard, seed, noise)
        self.last_weights: Optional[Tensor] = None
        self._weights_seen: Optional[Tensor] = None
        self._samples_seen = 0

    @torch.compiler.disable  # as in LossBalancer
    def forward(
        self,
        pred: Tensor,
        target: Any,
        weight: Optional[Tensor] = None,
        avg_factor: Union[float, Tensor, None] = None,
        reduction_override: Optional[str] = None,
        **kwargs: Any,
    ) -> Tensor:
        """Computes the loss.

        Args:
            pred: what the head put out, ``(N, ...)`` with ``context_dim`` numbers per sample.
            target: as the candidates take it.
            weight: per sample ``(N,)`` or per element; with ``use_mask`` the class of each mask.
            avg_factor: number that the sum is divided by, with the reduction ``'mean'``.
            reduction_override: replaces ``reduction`` in this call.
            kwargs: handed on to the candidates.
        """
        reduction = reduction_override or self.reduction
        require(
            reduction in REDUCTIONS, type(self).__name__, 'reduction_override', f'one of {list(REDUCTIONS)}', reduction
        )
        if self.use_mask:
            pred = pred[torch.arange(len(pred), device=pred.device), weight].flatten(1)
            target, weight = target.flatten(1), None
        with torch.autocast(pred.device.type, enabled=False):
            pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
            # Without an avg_factor the mean is over all elements, with one their sum counts: see weight_reduce_loss.
            over_elements = reduction == 'mean' and avg_factor is None
            losses = self._candidate_losses(pred, target, weight, over_elements, kwargs)
            log_p = self._decide(pred)
            weights = self._sample(log_p)
            self._remember(weights.detach())
            if self.kl_weight == 0 or len(pred) == 0:
                mixed = (weights * losses).sum(-1)
                return self.loss_weight * weight_reduce_loss(mixed, None, reduction, avg_factor)
            mixed = (weights.detach() * losses).sum(-1)
            loss = self.loss_weight * weight_reduce_loss(mixed, None, reduction, avg_factor)
            kl = F.kl_div(self.initial_p.log().expand_as(log_p), log_p, reduction='batchmean', log_target=True)
            costs = self.objective.costs(losses, self.initial_p, weights, None)
            goal = (weights * costs).sum(-1).mean() + self.kl_weight * kl
            return loss + (goal - goal.detach()) / loss.numel()  # only its gradient counts

    def get_cls_channels(self, num_classes: int) -> int:
        """Channels that the head needs, where the candidates say so (``custom_cls_channels``)."""
        return self._first.get_cls_channels(num_classes)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Class probabilities, where the candidates have their own (``custom_activation``)."""
        return self._first.get_activation(cls_score)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Accuracies for the log, where the candidates have their own (``custom_accuracy``)."""
        return self._first.get_accuracy(cls_score, labels)

    @property
    def _first(self) -> Any:
        return self.candidates[0]

    def mean_weights(self) -> dict[str, Tensor]:
        """Mean weight of each candidate over all samples since this was last called; empty without any."""
        if self._weights_seen is None:
            return {}
        mean = self._weights_seen / self._samples_seen
        self._weights_seen, self._samples_seen = None, 0
        return dict(zip(self.names, mean.unbind()))

    def _candidate_losses(
        self, pred: Tensor, target: Any, weight: Optional[Tensor], over_elements: bool, kwargs: dict
    ) -> Tensor:
        """Weighted loss of each sample under each candidate, ``(N, n)``."""
        losses = []
        for name, candidate in zip(self.names, self.candidates):
            try:
                loss = candidate(pred, target, weight, reduction_override='none', **kwargs)
            except torch.cuda.OutOfMemoryError:
                raise
            except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
                shape = tuple(target.shape) if isinstance(target, Tensor) else type(target).__name__
                raise ValueError(
                    f'{type(self).__name__}: the candidate {name!r} cannot be computed from '
                    f'predictions of shape {tuple(pred.shape)} and targets of shape {shape}. All candidates get the '
                    'same input: take losses of class scores only, or of boxes only, as the slot of the head asks. '
                    f'{type(error).__name__}: {error}'
                ) from error
            if loss.dim() == 0 and (len(pred) == 0 or (weight is not None and not weight.any())):
                loss = loss.expand(len(pred))  # the single zero that mmdet's box losses give where no sample counts
            if loss.shape[:1] != pred.shape[:1]:
                raise ValueError(
                    f'{type(self).__name__}: the candidate {name!r} must give a value per sample or element of '
                    f"predictions {tuple(pred.shape)} when called with reduction_override='none', found the shape "
                    f'{tuple(loss.shape)}.'
                )
            loss = loss.flatten(1) if loss.dim() > 1 else loss.unsqueeze(1)
            losses.append(loss.mean(1) if over_elements else loss.sum(1))
        return torch.stack(losses, dim=1)

    def _decide(self, pred: Tensor) -> Tensor:
        """Log-probabilities ``(N, n)``."""
        context = pred.detach() if self.detach_context else pred
        context = context.flatten(1) if context.dim() > 1 else context.unsqueeze(1)
        if context.shape[1] != self.context_dim:
            raise ValueError(
                f'{type(self).__name__}: predictions of shape {tuple(pred.shape)} have {context.shape[1]} numbers per '
                f'sample, but context_dim is {self.context_dim}. Set context_dim={context.shape[1]}.'
            )
        return self.decision_network(context)

    def _remember(self, weights: Tensor) -> None:
        if len(weights):
            self.last_weights = weights.mean(0)
            total = weights.sum(0)
            self._weights_seen = total if self._weights_seen is None else self._weights_seen + total
            self._samples_seen += len(weights)

    def _initial_p(self, initial: Union[str, Sequence[float]]) -> Tensor:
        owner, count = type(self).__name__, len(self.candidates)
        values = [1.0] * count if initial == 'uniform' else initial
        wanted = f"'uniform' or {count} numbers > 0, one of each candidate"
        right = not isinstance(values, str) and len(values) == count and all(value > 0 for value in values)
        require(right, owner, 'initial', wanted, initial)
        p = torch.tensor(values, dtype=torch.get_default_dtype())
        return p / p.sum()

    def _check_activations(self) -> None:
        for name, candidate in zip(self.names, self.candidates):
            found = getattr(candidate, 'use_sigmoid', None)
            wanted = self.use_sigmoid or self.use_mask
            if found is not None and bool(found) != wanted:
                raise ValueError(
                    f'{type(self).__name__}: use_sigmoid is {self.use_sigmoid}, use_mask is {self.use_mask}, but the '
                    f'candidate {name!r} has use_sigmoid={found}. All must read the scores in the same way: set '
                    f'use_sigmoid={wanted} in the candidate.'
                )

    def _adopt_custom_interface(self) -> None:
        """Takes over what some classification losses tell mmdet's heads about their channels and scores."""
        for flag in ('custom_cls_channels', 'custom_activation', 'custom_accuracy'):
            found = {name: bool(getattr(loss, flag, False)) for name, loss in zip(self.names, self.candidates)}
            if len(set(found.values())) > 1:
                raise ValueError(
                    f'{type(self).__name__}: all candidates or none must have {flag}, found {found}. They share one '
                    'prediction.'
                )
            setattr(self, flag, all(found.values()))


def _checked_candidate(index: int, cfg: Any) -> dict:
    """The config of a candidate, with the key ``name`` where it has one."""
    named = isinstance(cfg, dict) and 'name' in cfg
    settings = {key: value for key, value in cfg.items() if key != 'name'} if named else cfg
    losses = sorted(name for name in MODELS.module_dict if name.endswith('Loss'))
    checked = checked_cfg(settings, f'StochasticLoss.candidates[{index}]', losses)
    return {**checked, 'name': cfg['name']} if named else checked

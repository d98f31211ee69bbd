"""Mixtures of interchangeable losses, sample by sample, for any loss of mmdet: the base of the two kinds of SLF."""

from abc import ABCMeta, abstractmethod
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..slf.decision_network import DecisionNetwork
from ..slf.samplers import Sampler
from ..utils.checks import require
from ..utils.config import build_component, checked_cfg
from ..utils.numerics import weighted
from .base import REDUCTIONS, reduced
from .masks import masks_of_labels

OVER_ELEMENTS = ('sum', 'mean')


class CandidateMixture(nn.Module, metaclass=ABCMeta):
    """A mixture of candidate losses, weighted by a decision network sample by sample.

    Args:
        candidates: configs of registered losses, ours or mmdet's. An additional key ``name`` names the candidate in
            the log; it defaults to the type.
        feature_dim: size of a sample of the prediction: C, or C + 1 in heads with softmax and a background, for
            ``loss_cls``; 4 for ``loss_bbox``; H * W for ``loss_mask``. With 1 every sample gets the same weights.
        sampler: config of a :class:`~slf_mmdet.slf.Sampler`; its steps are calls of the loss.
        hidden_dim: width of the decision network's hidden layer.
        initial: ``(n,)`` probabilities that the decision network starts from; ``None`` for a random start.
        over_elements: how the elements of a sample, such as its C classes, are reduced to a candidate's value:
            ``'sum'``, or ``'mean'`` as in Keras. It sets the scale of candidates relative to those with one value per
            sample, and so which one gets the weight.
        use_sigmoid: of ``loss_cls``, which mmdet's heads read; the candidates must have the same.
        use_mask: for ``loss_mask`` of mask heads, which predict a mask of each class and pass the class as third
            argument: candidates get the mask of that class as H * W logits, for sigmoid.
        reduction: ``'mean'``, ``'sum'``, or ``'none'`` for one value per sample.
        loss_weight: factor of the result.

    Raises:
        ValueError: a setting is out of its range, candidates have the same name or disagree on sigmoid and softmax, one
            of them has no value per sample, or a prediction does not have ``feature_dim`` numbers per sample.
    """

    def __init__(
        self,
        candidates: Sequence[dict],
        feature_dim: int,
        sampler: Union[dict, Sampler],
        hidden_dim: int,
        initial: Optional[Tensor],
        over_elements: str = 'sum',
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        require(len(candidates) > 0, owner, 'candidates', 'a list of at least one loss config', candidates)
        require(reduction in REDUCTIONS, owner, 'reduction', f'one of {list(REDUCTIONS)}', reduction)
        require(over_elements in OVER_ELEMENTS, owner, 'over_elements', f'one of {list(OVER_ELEMENTS)}', over_elements)
        configs = [_checked_candidate(owner, index, cfg) for index, cfg in enumerate(candidates)]
        self.names = tuple(cfg.pop('name', None) or getattr(cfg['type'], '__name__', cfg['type']) for cfg in configs)
        duplicates = sorted({name for name in self.names if self.names.count(name) > 1})
        if duplicates:
            raise ValueError(f"{owner}: candidates share the names {duplicates}. Give each a key name='...'.")
        self.candidates = nn.ModuleList(MODELS.build(cfg) for cfg in configs)
        self.feature_dim = feature_dim
        self.over_elements = over_elements
        self.use_sigmoid = use_sigmoid
        self.use_mask = use_mask
        self.reduction = reduction
        self.loss_weight = loss_weight
        self._check_activations()
        self._adopt_custom_interface()
        self.decision_network = DecisionNetwork(feature_dim, len(self.candidates), hidden_dim, initial)
        self.sampler: Sampler = build_component(sampler, f'{owner}.sampler', Sampler)
        self.last_weights: Optional[Tensor] = None
        self._weights_seen: Optional[Tensor] = None
        self._samples_seen = 0

    @abstractmethod
    def _compute_weights(self, losses: Tensor, features: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        """Computes the weights of the candidates.

        Args:
            losses: ``(N, n)`` of each sample under each candidate.
            features: ``(N, D)`` the prediction.

        Returns:
            ``(N, n)`` weights that sum to 1; and a scalar of which only the gradient is used, or ``None``.
        """

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
            pred: prediction of the head, ``(N, ...)`` with ``feature_dim`` numbers per sample.
            target: of the candidates.
            weight: per sample ``(N,)`` or per element; with ``use_mask`` the class of each mask.
            avg_factor: number that the sum is divided by, with the reduction ``'mean'``.
            reduction_override: replaces ``reduction`` in this call.
            kwargs: passed to the candidates, ``ignore_index`` for example.

        Raises:
            ValueError: a candidate cannot be computed, from a label out of range for example.
        """
        reduction = reduction_override or self.reduction
        require(
            reduction in REDUCTIONS, type(self).__name__, 'reduction_override', f'one of {list(REDUCTIONS)}', reduction
        )
        if self.use_mask:
            pred = masks_of_labels(type(self).__name__, pred, weight).flatten(1)
            target, weight = target.flatten(1), None
        with torch.autocast(pred.device.type, enabled=False):
            pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
            # Without avg_factor the mean is over all elements, with it their sum is divided: see weight_reduce_loss
            mean = self.over_elements == 'mean' or (reduction == 'mean' and avg_factor is None)
            losses = self._candidate_losses(pred, target, weight, mean, kwargs)
            weights, aux_loss = self._compute_weights(losses, self._features(pred))
            self._record(weights.detach())
            mixed = weighted(weights, losses).sum(-1)
            loss = self.loss_weight * reduced(mixed, None, reduction, avg_factor)
            if aux_loss is None or len(pred) == 0:
                return loss
            return loss + (aux_loss - aux_loss.detach()) / loss.numel()

    def get_cls_channels(self, num_classes: int) -> int:
        """Channels that the head needs, where the candidates define them (``custom_cls_channels``)."""
        return self._first.get_cls_channels(num_classes)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Class probabilities, where the candidates define them (``custom_activation``)."""
        return self._first.get_activation(cls_score)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> Dict[str, Tensor]:
        """Accuracies for the log, where the candidates define them (``custom_accuracy``)."""
        return self._first.get_accuracy(cls_score, labels)

    @property
    def _first(self) -> Any:
        return self.candidates[0]

    def mean_weights(self) -> Dict[str, Tensor]:
        """Mean weight of each candidate over all samples since the last call; empty without samples."""
        if self._weights_seen is None:
            return {}
        mean = self._weights_seen / self._samples_seen
        self._weights_seen, self._samples_seen = None, 0
        return dict(zip(self.names, mean.unbind()))

    def _candidate_losses(
        self, pred: Tensor, target: Any, weight: Optional[Tensor], mean: bool, kwargs: dict
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
                    'same input: use losses of class scores only, or of boxes only, as the head requires. '
                    f'{type(error).__name__}: {error}'
                ) from error
            if loss.dim() == 0 and (len(pred) == 0 or (weight is not None and not weight.any())):
                loss = loss.expand(len(pred))  # mmdet's box losses return a single zero where all weights are 0
            if loss.shape[:1] != pred.shape[:1]:
                raise ValueError(
                    f'{type(self).__name__}: the candidate {name!r} must give a value per sample or element of '
                    f"predictions {tuple(pred.shape)} when called with reduction_override='none', found the shape "
                    f'{tuple(loss.shape)}.'
                )
            loss = loss.flatten(1) if loss.dim() > 1 else loss.unsqueeze(1)
            losses.append(loss.mean(1) if mean else loss.sum(1))
        return torch.stack(losses, dim=1)

    def _features(self, pred: Tensor) -> Tensor:
        """Input of the decision network, ``(N, D)``."""
        features = pred.flatten(1) if pred.dim() > 1 else pred.unsqueeze(1)
        if features.shape[1] != self.feature_dim:
            raise ValueError(
                f'{type(self).__name__}: predictions of shape {tuple(pred.shape)} have {features.shape[1]} numbers per '
                f'sample, but feature_dim is {self.feature_dim}. Set feature_dim={features.shape[1]}.'
            )
        return features

    def _record(self, weights: Tensor) -> None:
        if len(weights):
            self.last_weights = weights.mean(0)
            total = weights.sum(0)
            self._weights_seen = total if self._weights_seen is None else self._weights_seen + total
            self._samples_seen += len(weights)

    def _check_activations(self) -> None:
        for name, candidate in zip(self.names, self.candidates):
            found = getattr(candidate, 'use_sigmoid', None)
            wanted = self.use_sigmoid or self.use_mask
            if found is not None and bool(found) != wanted:
                raise ValueError(
                    f'{type(self).__name__}: use_sigmoid is {self.use_sigmoid}, use_mask is {self.use_mask}, but the '
                    f'candidate {name!r} has use_sigmoid={found}. All must use the same activation: set '
                    f'use_sigmoid={wanted} in the candidate.'
                )

    def _adopt_custom_interface(self) -> None:
        """Adopts the attributes by which some classification losses define channels and scores of mmdet's heads."""
        for flag in ('custom_cls_channels', 'custom_activation', 'custom_accuracy'):
            found = {name: bool(getattr(loss, flag, False)) for name, loss in zip(self.names, self.candidates)}
            if len(set(found.values())) > 1:
                raise ValueError(
                    f'{type(self).__name__}: all candidates or none must have {flag}, found {found}. They share one '
                    'prediction.'
                )
            setattr(self, flag, all(found.values()))


def _checked_candidate(owner: str, index: int, cfg: Any) -> dict:
    """The config of a candidate, with the key ``name`` where it has one."""
    named = isinstance(cfg, dict) and 'name' in cfg
    settings = {key: value for key, value in cfg.items() if key != 'name'} if named else cfg
    losses = sorted(name for name in MODELS.module_dict if name.endswith('Loss'))
    checked = checked_cfg(settings, f'{owner}.candidates[{index}]', losses)
    return {**checked, 'name': cfg['name']} if named else checked

"""A balancer whose weights a decision network decides: what SLFBalancer and PaperSLFBalancer share."""

from abc import abstractmethod
from typing import Any, Optional, Union

from torch import Tensor

from ..balancers import LossBalancer
from ..balancers.step import Step
from ..utils.checks import require
from ..utils.config import build_component
from .decision_network import DecisionNetwork
from .samplers import Sampler, SelectiveCode


class DecisionBalancer(LossBalancer):
    """Features in, log-probabilities of the parts, sampled weights out.

    Args:
        sampler: config of a :class:`~slf_mmdet.slf.Sampler`.
        granularity: ``'image'`` for weights of their own for each image, ``'batch'`` for one set from the mean of the
            features, in distributed training that of all processes. Parts that are scalars always get the latter.
        hidden_dim: width of the decision network's hidden layer.
        initial: ``(n,)`` probabilities that the decision network starts from; ``None`` for a random start.
        kwargs: see :class:`~slf_mmdet.balancers.LossBalancer`; ``feature_dim`` is needed.

    Raises:
        ValueError: a setting is out of its range or not among its choices.
    """

    def __init__(
        self,
        sampler: Union[dict, Sampler],
        granularity: str,
        hidden_dim: int,
        initial: Optional[Tensor],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        choices = ['image', 'batch']
        require(granularity in choices, self._name, 'granularity', f'one of {choices}', granularity)
        if self.feature_dim is None:
            raise ValueError(
                f'{self._name}: feature_dim, the size of what the decision network sees, must be given. YOLOV1Head and '
                'BalancedDetector fill it in.'
            )
        self.granularity = granularity
        self.sampler: Sampler = build_component(sampler, f'{self._name}.sampler', Sampler)
        self.decision_network = DecisionNetwork(self.feature_dim, len(self.parts), hidden_dim, initial)
        self._last_weights: Optional[Tensor] = None

    @abstractmethod
    def mean_weights(self, output: Tensor) -> Tensor:
        """Weights ``(N, n)`` before sampling, from what the decision network puts out, ``(N, n)``."""

    @property
    def selective_code(self) -> Optional[SelectiveCode]:
        """The code a and the weighting b ``(N, n)`` of Eq. 2 in the last step, ``a * b`` = weights / W."""
        if self._last_weights is None:
            return None
        shares = self._last_weights / self.total_weight
        return SelectiveCode((shares > 0).to(shares.dtype), shares)

    def reset(self) -> None:
        """Starts the decision network again; samples go on."""
        self.decision_network.reset()

    def _features(self, step: Step, detach: bool) -> Tensor:
        """``(N, D)``, or ``(1, D)`` for one set of weights."""
        features = step.features.detach() if detach and step.features is not None else step.features
        if features is None or features.dim() != 2 or features.shape[1] != self.feature_dim:
            found = None if features is None else tuple(features.shape)
            raise ValueError(f'{self._name}: features must be of shape (N, {self.feature_dim}), found {found}.')
        return step.average(features.mean(0, keepdim=True)) if self._one_for_all(step) else features

    def _one_for_all(self, step: Step) -> bool:
        return self.granularity == 'batch' or step.losses.dim() == 1

    def _record(self, weights: Tensor) -> Tensor:
        """Keeps the weights of the step for :attr:`selective_code`."""
        self._last_weights = weights.detach()
        return weights

"""Algorithm 1 of Liu & Lai, AAAI 2020, over interchangeable losses."""

from typing import Any, Optional, Sequence, Tuple, Union

from mmdet.registry import MODELS
from torch import Tensor

from ..slf.algorithm1 import initial_probabilities
from ..slf.samplers import Sampler
from .candidate_mixture import CandidateMixture


@MODELS.register_module()
class PaperStochasticLoss(CandidateMixture):
    r"""Mixes candidate losses as the paper prints it: one loss for both networks, no prior.

    .. math:: L = \sum_i \hat p_i \ell_i, \qquad \hat p = \frac 1 K \sum_{k=1}^K \mathcal G\left(h(f(x; w); v)\right)

    is minimised over the head's and the decision network's parameters (Liu & Lai, AAAI 2020, Eq. 4, 9-11 and Algorithm
    1). All weight goes to the candidate that is smallest, also by scale, which can prevent a network from learning a
    class, see docs/classification.md.

    Args:
        candidates: see :class:`~slf_mmdet.losses.CandidateMixture`, as for the others that are not listed here.
        feature_dim: see there.
        sampler: config of a :class:`~slf_mmdet.slf.Sampler`; the paper takes K = 3 on MNIST, K = 4 on CIFAR-10.
            ``dict(type='Softmax')`` is its ablation "SLF-Softmax".
        start: of the decision network, ``'random'`` or ``'uniform'``, with equal probabilities.
        hidden_dim: width of the decision network's hidden layer.
        kwargs: see :class:`~slf_mmdet.losses.CandidateMixture`.

    Raises:
        ValueError: see there, or ``start`` is not among its choices.
    """

    def __init__(
        self,
        candidates: Sequence[dict],
        feature_dim: int,
        sampler: Union[dict, Sampler] = dict(type='MultipleGumbelSoftmax', num_samples=3),  # noqa: B006
        start: str = 'random',
        hidden_dim: int = 64,
        **kwargs: Any,
    ) -> None:
        initial = initial_probabilities(start, len(candidates), type(self).__name__)
        super().__init__(candidates, feature_dim, sampler, hidden_dim, initial, **kwargs)

    def _compute_weights(self, losses: Tensor, features: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        return self.sampler(self.decision_network(features)), None

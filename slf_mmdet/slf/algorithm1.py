"""Algorithm 1 of Liu & Lai, AAAI 2020, as it is printed."""

from typing import Optional, Sequence, Union

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..balancers import BalancerOutput
from ..balancers.step import Step
from ..utils.checks import require
from .decision_balancer import DecisionBalancer
from .samplers import Sampler

STARTS = ('random', 'uniform')


def initial_probabilities(start: str, num_parts: int, owner: str) -> Optional[Tensor]:
    """Of the decision network: ``None`` for ``'random'``, equal ones ``(n,)`` for ``'uniform'``.

    Raises:
        ValueError: ``start`` is neither; the message names its ``owner``.
    """
    require(start in STARTS, owner, 'start', f'one of {list(STARTS)}', start)
    return None if start == 'random' else torch.full((num_parts,), 1 / max(num_parts, 1))


@MODELS.register_module()
class PaperSLFBalancer(DecisionBalancer):
    r"""The Stochastic Loss Function as printed: one loss for both networks, multiple Gumbel-Softmax, no prior.

    With the detector's output :math:`f(x; w)`, the decision network h and K straight-through samples
    (Liu & Lai, AAAI 2020, Eq. 4 and 9-11):

    .. math:: L = W \sum_i \hat p_i \ell_i, \qquad
              \hat p = \frac 1 K \sum_{k=1}^K \mathcal G\left(h(f(x; w); v)\right)

    which is minimised over w and v. The gradient of :math:`\hat p` reaches w through the features as well. The paper
    has no factor W, the sum of the base weights: with it learning rates carry over. Otherwise base weights have no
    effect.

    On a detector this collapses: with :math:`p = softmax(\mu)`,
    :math:`\partial L / \partial \mu_i = p_i (\ell_i - \sum_j p_j \ell_j)`, so all weight moves to the smallest part. It
    is here to be compared with; see :class:`SLFBalancer`.

    Args:
        sampler: config of a :class:`~slf_mmdet.slf.samplers.Sampler`; K = 3 in the paper's MNIST experiments.
        start: of the decision network, ``'random'`` or ``'uniform'``, with equal probabilities.
        granularity: ``'image'`` or ``'batch'``, see :class:`SLFBalancer`.
        hidden_dim: width of the decision network's hidden layer.
        parts: see :class:`~slf_mmdet.balancers.LossBalancer`, as for the following.
        base_weights: only their sum counts.
        feature_dim: is needed.
        init_cfg: see there.

    Raises:
        ValueError: a setting is out of its range or not among its choices.
    """

    def __init__(
        self,
        sampler: Union[dict, Sampler] = dict(type='MultipleGumbelSoftmax', num_samples=3),  # noqa: B006
        start: str = 'random',
        granularity: str = 'image',
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
            initial_probabilities(start, len(names), type(self).__name__),
            parts=parts,
            base_weights=base_weights,
            feature_dim=feature_dim,
            init_cfg=init_cfg,
        )

    def compute_weights(self, step: Step) -> BalancerOutput:
        log_p = self.decision_network(self._features(step, detach=False))
        return BalancerOutput(self._record(self.total_weight * self.sampler(log_p, self._one_for_all(step))))

    def mean_weights(self, output: Tensor) -> Tensor:
        return self.total_weight * output.exp()

    def collapse_advice(self) -> str:
        return (
            'Likely cause: Algorithm 1 itself. Both networks minimise the training loss, so all weight moves to the '
            'smallest part. Take SLFBalancer.'
        )

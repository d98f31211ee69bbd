"""Deep Adaptive Clustering (Chang et al., "Deep Adaptive Image Clustering", ICCV 2017)."""

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModel
from torch import Tensor

from ...utils.checks import is_number, require
from ...utils.config import with_sizes

ROUNDING = 1e-6  # of similarities of unit vectors in fp32


@MODELS.register_module()
class DeepAdaptiveClusterer(BaseModel):
    r"""Clusters images by whether pairs of them belong together, which it decides itself.

    The network maps image i to probabilities of the clusters; the label feature :math:`f_i` is that vector at unit
    length, and :math:`s_{ij} = f_i \cdot f_j` in [0, 1] the similarity of a pair. A pair gets the label

    .. math:: r_{ij} = \begin{cases} 1 & s_{ij} > u(\lambda) \\ 0 & s_{ij} < l(\lambda) \\ \text{none} & \text{else}
        \end{cases} \qquad u = u_0 - \lambda, \quad l = l_0 + 0.1 \lambda

    with the paper's :math:`l_0 = .455, u_0 = .95`. In epoch :math:`t = 0, 1, \dots` is
    :math:`\lambda = \mathtt{step}\, t`, until the thresholds meet: from then on every pair has a label. An image
    belongs to its most probable cluster.

    The loss is one of class scores: for pairs with a label, :math:`[\log(1 - s_{ij}), \log s_{ij}]` are the logits of
    the two classes "different" and "same", whose softmax is :math:`(1 - s_{ij}, s_{ij})`. It is divided by the number
    of all pairs. With cross-entropy it is the loss of the paper.

    With a mixture of candidates (:class:`~slf_mmdet.losses.StochasticLoss`) the decision network sees these two
    numbers. As it normalises its input, what remains of them is which one is larger: it learns weights for pairs of
    either label.

    Give its config the key ``_scope_='mmdet'`` where the default scope is another, and the run mmdet's
    ``SetEpochInfoHook``, from which the model knows the epoch.

    Args:
        network: config of a module that maps images to probabilities of the clusters, such as :class:`DACNetwork`.
        loss: config of a loss of class scores; ``feature_dim=2`` is filled in where it takes one.
        lower: :math:`l_0` in (0, 1).
        upper: :math:`u_0` in (0, 1), above ``lower``.
        step: by which :math:`\lambda` grows in an epoch, > 0. The default is that of the authors, for 46 epochs.
        data_preprocessor, init_cfg: see mmengine's ``BaseModel``.

    Raises:
        ValueError: a setting is out of its range; or, in training, the epoch is not known, a batch has fewer than two
            images, or all of them have the same label feature.
    """

    def __init__(
        self,
        network: ConfigType,
        loss: ConfigType = dict(type='CrossEntropyLoss'),  # noqa: B006
        lower: float = 0.455,
        upper: float = 0.95,
        step: float = 0.0099,
        data_preprocessor: Optional[ConfigType] = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        owner = type(self).__name__
        require(is_number(lower, 0, 1) and lower > 0, owner, 'lower', 'in (0, 1)', lower)
        right = is_number(upper, lower, 1) and lower < upper < 1
        require(right, owner, 'upper', f'in (lower, 1) = ({lower}, 1)', upper)
        require(is_number(step, 0) and step > 0, owner, 'step', 'a finite number > 0', step)
        self.network = MODELS.build(network)
        self.loss_module = MODELS.build(with_sizes(loss, 2))
        self.lower, self.upper, self.step = float(lower), float(upper), float(step)
        self.thresholds: Optional[Tuple[float, float]] = None

    def set_epoch(self, epoch: int) -> None:
        """Sets the thresholds of an epoch, counted from 0; ``SetEpochInfoHook`` calls it."""
        self.thresholds = self.thresholds_at(epoch)

    def thresholds_at(self, epoch: int) -> Tuple[float, float]:
        """The thresholds (l, u) of an epoch, counted from 0.

        Examples:
            >>> model = DeepAdaptiveClusterer(dict(type='torch.nn.Identity'), step=0.1)
            >>> [tuple(round(value, 3) for value in model.thresholds_at(epoch)) for epoch in (0, 1, 4, 5)]
            [(0.455, 0.95), (0.465, 0.85), (0.495, 0.55), (0.5, 0.5)]
        """
        until = (self.upper - self.lower) / 1.1  # u - lambda = l + 0.1 lambda
        grown = min(self.step * epoch, until)
        return self.lower + 0.1 * grown, self.upper - grown

    def forward(
        self, inputs: Tensor, data_samples: Optional[Sequence[Any]] = None, mode: str = 'tensor'
    ) -> Union[Tensor, Dict[str, Tensor], List[Any]]:
        """Runs the model.

        Args:
            inputs: images ``(N, C, H, W)``.
            data_samples: of N images, needed to predict.
            mode: ``'tensor'`` for probabilities of the clusters ``(N, k)``; ``'loss'`` for the loss and, for the log,
                the shares of pairs with the labels "same" and "different"; ``'predict'`` for the samples with
                ``pred_score`` (k,) and ``pred_label`` (1,).
        """
        if mode == 'loss':
            return self.loss(inputs)
        scores = self.network(inputs)
        if mode == 'tensor':
            return scores
        if mode != 'predict' or data_samples is None:
            raise ValueError(
                f"{type(self).__name__}: mode must be 'tensor', 'loss', or 'predict' with data_samples, found {mode!r}."
            )
        for sample, score, label in zip(data_samples, scores, scores.argmax(1, keepdim=True)):
            sample.pred_score, sample.pred_label = score, label
        return list(data_samples)

    def loss(self, inputs: Tensor) -> Dict[str, Tensor]:
        """Computes the loss over the pairs of a batch ``(N, C, H, W)``, each pair once."""
        if self.thresholds is None:
            raise ValueError(
                f"{type(self).__name__}: the epoch is not known. Add dict(type='mmdet.SetEpochInfoHook') to "
                'custom_hooks, or call set_epoch in a training loop of your own.'
            )
        count = len(inputs)
        if count < 2:
            raise ValueError(
                f'{type(self).__name__}: a batch must have at least two images to make a pair, found {count}. Raise '
                'batch_size, or set drop_last=True in train_dataloader.'
            )
        similarity = pair_similarities(self.network(inputs))
        if (similarity.detach() > 1 - ROUNDING).all():
            raise ValueError(
                f'{type(self).__name__}: the {count} images of a batch have the same label feature, so there is '
                'nothing to learn. Check that the images differ and are normalised (data_preprocessor), that '
                'the network has no constant output, and that the learning rate is not too high.'
            )
        logits, labels = labelled_pairs(similarity, *self.thresholds)
        pairs = len(similarity)
        same = labels.sum()
        return dict(
            loss=self.loss_module(logits, labels, avg_factor=pairs),
            pairs_same=same / pairs,
            pairs_different=(len(labels) - same) / pairs,
        )


def pair_similarities(scores: Tensor) -> Tensor:
    """Cosine similarities of all pairs i < j of vectors ``(N, k)``, ``(N (N - 1) / 2,)`` in at least fp32.

    Examples:
        >>> import torch
        >>> pair_similarities(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]))
        tensor([1., 0., 0.])
    """
    with torch.autocast(scores.device.type, enabled=False):
        feature = F.normalize(scores.to(torch.promote_types(scores.dtype, torch.float32)))
        first, second = torch.triu_indices(len(feature), len(feature), offset=1, device=feature.device)
        return (feature @ feature.T)[first, second]


def labelled_pairs(similarity: Tensor, lower: float, upper: float) -> Tuple[Tensor, Tensor]:
    r"""Pairs that are similar or dissimilar enough to get a label.

    Args:
        similarity: ``(P,)`` in [0, 1].
        lower: pairs below have the label 0, "different".
        upper: pairs above have the label 1, "same".

    Returns:
        Logits :math:`[\log(1 - s), \log s]` of those pairs, ``(Q, 2)``, finite; and their labels ``(Q,)``.

    Examples:
        >>> import torch
        >>> logits, labels = labelled_pairs(torch.tensor([0.2, 0.7, 0.96]), lower=0.455, upper=0.95)
        >>> logits.softmax(1), labels
        (tensor([[0.8000, 0.2000],
                [0.0400, 0.9600]]), tensor([0, 1]))
    """
    same, different = similarity.detach() > upper, similarity.detach() < lower
    used = same | different
    chosen = similarity[used].clamp(ROUNDING, 1 - ROUNDING)
    return torch.stack([(1 - chosen).log(), chosen.log()], dim=1), same[used].long()

"""A loss of classes over the tokens of the reference."""

from typing import Dict

from mmdet.models.losses import accuracy
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from ....datasets.bpe import PAD
from ....utils.config import with_sizes
from ..seq2seq import Seq2Seq
from .base import SequenceLoss


@MODELS.register_module()
class TeacherForcing(SequenceLoss):
    """Each token is predicted from the reference's tokens before it; the loss is the mean over the tokens.

    Args:
        network: see :class:`SequenceLoss`.
        loss: any loss of class scores, called with logits ``(M, V)`` and ids ``(M,)`` of all tokens that are not
            padding. Settings that equal V, such as ``feature_dim`` of ``StochasticLoss``, are filled in.
    """

    def __init__(
        self,
        network: Seq2Seq,
        loss: ConfigType = dict(type='SmoothedCrossEntropyLoss'),  # noqa: B006
    ) -> None:
        super().__init__(network)
        self.token_loss = MODELS.build(with_sizes(loss, network.vocab_size))

    def forward(self, network: Seq2Seq, source: Tensor, target: Tensor) -> Dict[str, Tensor]:
        """``loss_token``, and ``accuracy`` of the tokens in percent; arguments as in :class:`SequenceLoss`."""
        return self._of_tokens(network, network(source, target), target, target != PAD)

    def _of_tokens(self, network: Seq2Seq, features: Tensor, target: Tensor, kept: Tensor) -> Dict[str, Tensor]:
        logits, labels = network.output(features[kept]), target[kept]
        loss = self.token_loss(logits, labels, avg_factor=max(len(labels), 1))
        return dict(loss_token=loss, accuracy=accuracy(logits.detach(), labels))

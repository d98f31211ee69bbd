"""Base class of the losses of sequences."""

from abc import ABCMeta, abstractmethod
from typing import Dict

from mmengine.model import BaseModule
from torch import Tensor

from ..seq2seq import Seq2Seq


class SequenceLoss(BaseModule, metaclass=ABCMeta):
    """Called with the network, which is not part of it, and a batch.

    Args:
        network: for its sizes, or to copy it; :class:`~slf_mmdet.models.translation.Translator` fills it in.
    """

    @abstractmethod
    def __init__(self, network: Seq2Seq) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, network: Seq2Seq, source: Tensor, target: Tensor) -> Dict[str, Tensor]:
        """Losses, whose names contain "loss", and what else is logged.

        Args:
            network: that is trained.
            source: ids ``(N, S)``, with end token, padded.
            target: ids ``(N, T)``, with end token, padded.
        """

"""A translation model for mmengine's runner."""

from typing import Any, Dict, List, Optional, Sequence, Union

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...utils.checks import is_count, is_number, require
from .preprocessor import TranslationPreprocessor
from .search import beam_search, evaluating

MODES = ('loss', 'predict', 'tensor')


@MODELS.register_module()
class Translator(BaseModel):
    """A network that is trained by a loss of sequences and translates by beam search.

    Args:
        network: a :class:`Seq2Seq`; its ``vocab_size`` is filled in.
        loss: a :class:`SequenceLoss`.
        data_preprocessor: a :class:`TranslationPreprocessor`.
        beam_size, max_length, length_penalty: see :func:`beam_search`.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        TypeError: the vocabulary is unknown, as ``data_preprocessor`` is not a ``TranslationPreprocessor``.
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        network: ConfigType,
        loss: ConfigType = dict(type='TeacherForcing'),  # noqa: B006
        data_preprocessor: Optional[Union[dict, TranslationPreprocessor]] = None,
        beam_size: int = 5,
        max_length: int = 100,
        length_penalty: float = 1.0,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if not isinstance(self.data_preprocessor, TranslationPreprocessor):
            raise TypeError(
                'Translator: the size of the vocabulary is unknown: data_preprocessor must be '
                f"dict(type='TranslationPreprocessor', vocabulary=...), found {data_preprocessor!r}."
            )
        owner = type(self).__name__
        require(is_count(beam_size), owner, 'beam_size', 'an integer >= 1', beam_size, '1 is greedy search.')
        require(is_count(max_length), owner, 'max_length', 'an integer >= 1', max_length)
        require(is_number(length_penalty, 0), owner, 'length_penalty', 'a finite number >= 0', length_penalty)
        self.network = MODELS.build(network, default_args=dict(vocab_size=self.data_preprocessor.vocab_size))
        self.loss_module = MODELS.build(loss, default_args=dict(network=self.network))
        self.beam_size = beam_size
        self.max_length = max_length
        self.length_penalty = length_penalty

    def forward(
        self,
        inputs: Tensor,
        data_samples: Optional[Sequence[Any]] = None,
        targets: Optional[Tensor] = None,
        mode: str = 'tensor',
    ) -> Union[Dict[str, Tensor], Sequence[Any], Tensor]:
        """Computes the losses, translates, or scores.

        Args:
            inputs: source ids ``(N, S)`` of the data preprocessor.
            data_samples: of the data set; with ``mode='predict'`` each gets the text ``prediction``. ``None`` makes new
                ones.
            targets: target ids ``(N, T)``, for ``'loss'`` and ``'tensor'``.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``, which gives the logits ``(N, T, V)``.

        Raises:
            ValueError: ``mode`` is none of these, or the targets are missing.
        """
        require(mode in MODES, type(self).__name__, 'mode', f'one of {MODES}', mode)
        if mode == 'predict':
            samples = [BaseDataElement() for _ in inputs] if data_samples is None else data_samples
            for sample, text in zip(samples, self._translate(inputs)):
                sample.prediction = text
            return samples
        if targets is None:
            raise ValueError(f'Translator: mode={mode!r} needs targets: the data samples have no text "target".')
        if mode == 'loss':
            return self.loss_module(self.network, inputs, targets)
        return self.network.output(self.network(inputs, targets))

    def translate(self, sentences: Sequence[str]) -> List[str]:
        """Translates texts.

        Raises:
            ValueError: one of them is empty.
        """
        with evaluating(self), torch.no_grad():
            return self._translate(self.data_preprocessor.encode(sentences))

    def _translate(self, source: Tensor) -> List[str]:
        tokens = beam_search(self.network, source, self.beam_size, self.max_length, self.length_penalty)
        return self.data_preprocessor.decode(tokens)

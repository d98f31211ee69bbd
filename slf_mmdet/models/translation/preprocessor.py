"""From texts to tokens and back: the vocabulary of a translator."""

import hashlib
import json
from typing import Any, List, Sequence

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from ...datasets.bpe import load_bpe


@MODELS.register_module()
class TranslationPreprocessor(BaseDataPreprocessor):
    """Turns a batch of texts into ids, padded to the longest; its vocabulary is checked against the checkpoint's.

    A checkpoint holds a hash of the vocabulary: the ids of another one, even of the same size, would be other words.

    Args:
        vocabulary: arguments of :func:`~slf_mmdet.datasets.bpe.load_bpe`, which trains it where its file is missing.
        non_blocking: see mmengine's ``BaseDataPreprocessor``.

    Attributes:
        vocab_size: number of tokens.

    Raises:
        ValueError: see ``load_bpe``; or a checkpoint with another vocabulary is loaded.
    """

    def __init__(self, vocabulary: dict, non_blocking: bool = False) -> None:
        super().__init__(non_blocking)
        self.file = vocabulary['file']
        self.tokenizer = load_bpe(**vocabulary)
        self.vocab_size = self.tokenizer.get_vocab_size()
        tokens = json.dumps(sorted(self.tokenizer.get_vocab().items())).encode()
        digest = torch.tensor(list(hashlib.sha256(tokens).digest()), dtype=torch.uint8)
        self.register_buffer('vocabulary_digest', digest)
        self.vocabulary_digest: Tensor

    def forward(self, data: dict, training: bool = False) -> dict:
        """Adds the ids.

        Args:
            data: ``inputs``, N texts, and ``data_samples``, N elements with the text ``target``, or ``None``.
            training: has no effect.

        Returns:
            ``inputs`` as ids ``(N, S)``, ``data_samples`` as they are, and ``targets``, ids ``(N, T)``, where the
            samples have them.

        Raises:
            ValueError: a text is empty.
        """
        samples = data.get('data_samples')
        tokens = dict(inputs=self.encode(data['inputs']), data_samples=samples)
        if samples is not None and all('target' in sample for sample in samples):
            tokens['targets'] = self.encode([sample.target for sample in samples])
        return tokens

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Ids ``(N, T)``: each text with an end-of-sentence token, then padding.

        Raises:
            ValueError: a text is empty.
        """
        empty = [index for index, text in enumerate(texts) if not text.strip()]
        if empty:
            raise ValueError(f'TranslationPreprocessor: the sentences {empty} of a batch of {len(texts)} are empty.')
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        return torch.tensor(ids, device=self.device)

    def decode(self, tokens: Tensor) -> List[str]:
        """Texts of ids ``(N, T)``, without special tokens."""
        return [text.strip() for text in self.tokenizer.decode_batch(tokens.tolist())]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        found = state_dict.get(f'{prefix}vocabulary_digest')
        if found is not None and not torch.equal(found.cpu(), self.vocabulary_digest.cpu()):
            raise ValueError(
                f'The checkpoint was trained with another vocabulary than that of {self.file}, of {self.vocab_size} '
                'tokens: its ids are other words. Set data_preprocessor.vocabulary to the one that it was trained with.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

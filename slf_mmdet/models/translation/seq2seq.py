"""What the translation networks share: one vocabulary, and decoding token by token."""

from abc import ABCMeta, abstractmethod
from typing import Dict, Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...datasets.bpe import BOS, EOS, PAD
from ...utils.checks import is_count, is_number, require

State = Dict[str, Tensor]


class Seq2Seq(BaseModule, metaclass=ABCMeta):
    """An encoder and a decoder of tokens.

    Source, target and output layer share one matrix of embeddings (Press and Wolf, EACL 2017; Vaswani et al., NeurIPS
    2017, section 3.4), as the vocabulary is one of both languages.

    Args:
        vocab_size: number of tokens V, the three special ones included; :class:`Translator` fills it in.
        embed_dims: E, size of an embedding and of a feature.
        num_layers: of the encoder and of the decoder.
        dropout: rate in [0, 1).

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, vocab_size: int, embed_dims: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        owner = type(self).__name__
        wanted = f'an integer >= {EOS + 2}, the size of the vocabulary'
        require(is_count(vocab_size, EOS + 2), owner, 'vocab_size', wanted, vocab_size)
        require(is_count(embed_dims), owner, 'embed_dims', 'an integer >= 1', embed_dims)
        require(is_count(num_layers), owner, 'num_layers', 'an integer >= 1', num_layers)
        require(is_number(dropout, 0, 1) and dropout < 1, owner, 'dropout', 'in [0, 1)', dropout)
        self.vocab_size = vocab_size
        self.embed_dims = embed_dims
        self.num_layers = num_layers
        self.embedding = nn.Embedding(vocab_size, embed_dims, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=embed_dims**-0.5)
        nn.init.zeros_(self.embedding.weight[PAD])
        self.output = nn.Linear(embed_dims, vocab_size)
        nn.init.zeros_(self.output.bias)
        self.output.weight = self.embedding.weight
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def start(self, source: Tensor) -> State:
        """Encodes sentences.

        Args:
            source: ids ``(N, S)``, padded.

        Returns:
            What the decoder needs, tensors ``(N, ...)``: rows may be selected or repeated.
        """

    @abstractmethod
    def decode(self, state: State, tokens: Tensor) -> Tuple[Tensor, State]:
        """Reads further tokens of the targets.

        Args:
            state: of :meth:`start`, or after the tokens before.
            tokens: ids ``(N, T)``.

        Returns:
            Features ``(N, T, E)``, from each of which :meth:`output` predicts the next token; and the new state.
        """

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Features ``(N, T, E)`` that predict each token of the targets from the source and the tokens before it.

        Args:
            source: ids ``(N, S)``, padded.
            target: ids ``(N, T)``, padded, without a start token.
        """
        begin = target.new_full((len(target), 1), BOS)
        return self.decode(self.start(source), torch.cat([begin, target[:, :-1]], dim=1))[0]

    def log_probs(self, features: Tensor) -> Tensor:
        """Log-probabilities ``(..., V)`` of the next token, to draw from: -inf for padding and start token."""
        logits = self.output(features)
        never = torch.zeros(self.vocab_size, dtype=torch.bool, device=logits.device)
        never[[PAD, BOS]] = True
        return logits.masked_fill(never, -torch.inf).log_softmax(-1)

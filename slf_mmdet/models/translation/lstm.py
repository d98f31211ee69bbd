"""LSTM encoder and decoder with attention."""

from typing import Tuple

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ...datasets.bpe import PAD
from ...utils.checks import require
from .seq2seq import Seq2Seq, State


@MODELS.register_module()
class LSTMSeq2Seq(Seq2Seq):
    r"""A bidirectional encoder, and a decoder with global attention (Luong et al., EMNLP 2015, section 3.1).

    The decoder starts from the last states of the encoder. The feature is :math:`\tilde h_t = \tanh(W [c_t; h_t])`,
    with the context :math:`c_t` from torch's attention with one head. There is no input feeding, so that all positions
    of a target are computed in one call.

    Args:
        vocab_size, embed_dims, dropout: see :class:`Seq2Seq`.
        hidden_dims: H, even, of the states; each direction of the encoder has the half.
        num_layers: of encoder and decoder: LSTM-1 and LSTM-2 of Liu & Lai (AAAI 2020), Table 4.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dims: int = 256,
        hidden_dims: int = 512,
        num_layers: int = 1,
        dropout: float = 0.3,
    ) -> None:
        super().__init__(vocab_size, embed_dims, num_layers, dropout)
        right = isinstance(hidden_dims, int) and hidden_dims > 0 and hidden_dims % 2 == 0
        require(right, type(self).__name__, 'hidden_dims', 'an even integer >= 2', hidden_dims)
        between = dropout if num_layers > 1 else 0.0
        settings = dict(num_layers=num_layers, dropout=between, batch_first=True)
        self.encoder = nn.LSTM(embed_dims, hidden_dims // 2, bidirectional=True, **settings)
        self.decoder = nn.LSTM(embed_dims, hidden_dims, **settings)
        self.attention = nn.MultiheadAttention(hidden_dims, num_heads=1, batch_first=True)
        self.combine = nn.Linear(2 * hidden_dims, embed_dims)

    def start(self, source: Tensor) -> State:
        padding = source == PAD
        embedded = self.dropout(self.embedding(source))
        packed = pack_padded_sequence(embedded, (~padding).sum(1).cpu(), batch_first=True, enforce_sorted=False)
        memory, last = self.encoder(packed)
        memory, _ = pad_packed_sequence(memory, batch_first=True, total_length=source.shape[1])
        # (2 * layers, N, H / 2), the directions of a layer next to each other -> (N, layers, H)
        hidden, cell = (each.transpose(0, 1).reshape(len(source), self.num_layers, -1) for each in last)
        return dict(memory=memory, padding=padding, hidden=hidden, cell=cell)

    def decode(self, state: State, tokens: Tensor) -> Tuple[Tensor, State]:
        last = tuple(state[name].transpose(0, 1).contiguous() for name in ('hidden', 'cell'))
        output, last = self.decoder(self.dropout(self.embedding(tokens)), last)
        memory = state['memory']
        context, _ = self.attention(output, memory, memory, key_padding_mask=state['padding'], need_weights=False)
        features = self.dropout(torch.tanh(self.combine(torch.cat([context, output], dim=-1))))
        hidden, cell = (each.transpose(0, 1) for each in last)
        return features, dict(state, hidden=hidden, cell=cell)

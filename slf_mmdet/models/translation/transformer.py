"""The Transformer (Vaswani et al., NeurIPS 2017) of torch's layers."""

import math
from typing import Tuple

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ...datasets.bpe import PAD
from ...utils.checks import is_count, require
from .seq2seq import Seq2Seq, State


@MODELS.register_module()
class TransformerSeq2Seq(Seq2Seq):
    """torch's encoder and decoder layers with sinusoidal positions.

    Layer norm comes before attention and feed-forward network, and once more at the end (Xiong et al., ICML 2020): it
    trains without a long warm-up. To decode one further token, all before it are computed again.

    Args:
        vocab_size: see :class:`Seq2Seq`.
        embed_dims: E, even, a multiple of ``num_heads``.
        num_layers: of encoder and of decoder.
        num_heads: of attention.
        feedforward_dims: width of the feed-forward networks.
        dropout: rate in [0, 1).

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dims: int = 256,
        num_layers: int = 3,
        num_heads: int = 8,
        feedforward_dims: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(vocab_size, embed_dims, num_layers, dropout)
        owner = type(self).__name__
        require(is_count(num_heads), owner, 'num_heads', 'an integer >= 1', num_heads)
        right = embed_dims % 2 == 0 and embed_dims % num_heads == 0
        require(right, owner, 'embed_dims', f'even and a multiple of num_heads={num_heads}', embed_dims)
        require(is_count(feedforward_dims), owner, 'feedforward_dims', 'an integer >= 1', feedforward_dims)
        sizes = (embed_dims, num_heads, feedforward_dims, dropout)
        encoder_layer = nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=True)
        decoder_layer = nn.TransformerDecoderLayer(*sizes, batch_first=True, norm_first=True)
        norms = [nn.LayerNorm(embed_dims) for _ in range(2)]
        self.encoder = nn.TransformerEncoder(encoder_layer, num_layers, norms[0], enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder_layer, num_layers, norms[1])
        for parameter in (*self.encoder.parameters(), *self.decoder.parameters()):
            if parameter.dim() > 1:  # layers are copies of one another
                nn.init.xavier_uniform_(parameter)

    def start(self, source: Tensor) -> State:
        padding = source == PAD
        memory = self.encoder(self._embed(source), src_key_padding_mask=padding)
        return dict(memory=memory, padding=padding, prefix=source[:, :0])

    def decode(self, state: State, tokens: Tensor) -> Tuple[Tensor, State]:
        prefix = torch.cat([state['prefix'], tokens], dim=1)
        length = prefix.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        features = self.decoder(
            self._embed(prefix),
            state['memory'],
            tgt_mask=future,
            memory_key_padding_mask=state['padding'],
            tgt_is_causal=True,
        )
        return features[:, length - tokens.shape[1] :], dict(state, prefix=prefix)

    def _embed(self, tokens: Tensor) -> Tensor:
        scaled = self.embedding(tokens) * math.sqrt(self.embed_dims)
        return self.dropout(scaled + sinusoids(tokens.shape[1], self.embed_dims, scaled))


def sinusoids(length: int, dims: int, like: Tensor) -> Tensor:
    r"""Position codes ``(length, dims)``: sine and cosine of :math:`t / 10000^{2i / dims}` (section 3.5).

    Args:
        length: number of positions.
        dims: even.
        like: a tensor with the type and device of the result.
    """
    steps = torch.arange(length, dtype=like.dtype, device=like.device).unsqueeze(1)
    rates = torch.exp(torch.arange(0, dims, 2, dtype=like.dtype, device=like.device) * (-math.log(10000.0) / dims))
    return torch.stack([(steps * rates).sin(), (steps * rates).cos()], dim=-1).flatten(1)

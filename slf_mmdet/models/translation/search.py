"""Decoding: the most probable translation by beam search, and translations drawn at random."""

import contextlib
from typing import Iterator, Optional

import torch
from torch import Tensor, nn

from ...datasets.bpe import BOS, EOS, PAD
from .seq2seq import Seq2Seq, State


@torch.no_grad()
def beam_search(
    network: Seq2Seq, source: Tensor, beam_size: int, max_length: int, length_penalty: float = 1.0
) -> Tensor:
    r"""The best translation found with a beam: :math:`\log p(y) / |y|^\alpha`, the length with end token.

    In each step the ``beam_size`` most probable prefixes are kept. A translation that ends among them is finished; the
    search of a sentence ends when ``beam_size`` are. With ``beam_size=1`` this is greedy search.

    Args:
        network: in evaluation mode.
        source: ids ``(N, S)``.
        beam_size: K >= 1.
        max_length: of a translation, its end token included, with which all end there at the latest.
        length_penalty: :math:`\alpha \ge 0`; 0 compares sums of log-probabilities, 1 their means.

    Returns:
        Ids ``(N, T)``, with end token, padded.
    """
    count, vocab = len(source), network.vocab_size
    device = source.device
    state = _rows(network.start(source), torch.arange(count, device=device).repeat_interleave(beam_size))
    searched = torch.arange(count, device=device)  # the sentences whose search has not ended, M of them
    prefixes = source.new_full((count, beam_size, 1), BOS)
    scores = network.output.bias.new_full((count, beam_size), -torch.inf)
    scores[:, 0] = 0  # all prefixes are the same one
    finished = source.new_zeros(count)
    best = source.new_full((count, max_length), PAD)
    best_score = scores.new_full((count,), -torch.inf)
    for length in range(1, max_length + 1):
        features, state = network.decode(state, prefixes[:, :, -1].reshape(-1, 1))
        log_probs = network.log_probs(features[:, -1]).view(-1, beam_size, vocab)
        if length == max_length:
            log_probs[:, :, EOS + 1 :] = -torch.inf
        # Of 2 K continuations at most K end, one of each prefix
        top, index = (scores.unsqueeze(-1) + log_probs).flatten(1).topk(2 * beam_size)
        beam, token = index // vocab, index % vocab
        extended = torch.cat([prefixes.gather(1, beam.unsqueeze(-1).expand(-1, -1, length)), token.unsqueeze(-1)], -1)
        ends = (token == EOS) & top.isfinite()
        ended = ends[:, :beam_size]
        value, which = (top[:, :beam_size] / length**length_penalty).masked_fill(~ended, -torch.inf).max(1)
        (better,) = (value > best_score[searched]).nonzero(as_tuple=True)
        best_score[searched[better]] = value[better]
        best[searched[better], :length] = extended[better, which[better], 1:]
        finished = finished + ended.sum(1)
        (kept,) = (finished < beam_size).nonzero(as_tuple=True)
        if length == max_length or not len(kept):
            break
        scores, which = top.masked_fill(ends, -torch.inf)[kept].topk(beam_size)
        prefixes = extended[kept].gather(1, which.unsqueeze(-1).expand(-1, -1, length + 1))
        state = _rows(state, (kept.unsqueeze(1) * beam_size + beam[kept].gather(1, which)).flatten())
        searched, finished = searched[kept], finished[kept]
    return best[:, : int((best != PAD).sum(1).max())]


@torch.no_grad()
def sample(
    network: Seq2Seq,
    source: Tensor,
    max_length: int,
    forced: Optional[Tensor] = None,
    forced_lengths: Optional[Tensor] = None,
) -> Tensor:
    """Translations drawn from the network, without dropout, by torch's global generator.

    Args:
        network: of which the mode is restored afterwards.
        source: ids ``(N, S)``.
        max_length: translations that are longer are cut, and have no end token.
        forced: ids ``(N, R)``, padded, whose first tokens are taken instead of drawn.
        forced_lengths: how many of them, ``(N,)``.

    Returns:
        Ids ``(N, T)``, each with end token or of ``max_length`` tokens, padded.
    """
    with evaluating(network):
        state = network.start(source)
        token = source.new_full((len(source),), BOS)
        ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        drawn = []
        for position in range(max_length):
            features, state = network.decode(state, token.unsqueeze(1))
            token = network.log_probs(features[:, -1]).exp().multinomial(1).squeeze(1)
            if forced is not None and forced_lengths is not None and position < forced.shape[1]:
                token = torch.where(position < forced_lengths, forced[:, position], token)
            token = token.masked_fill(ended, PAD)
            drawn.append(token)
            ended = ended | (token == EOS)
            if ended.all():
                break
    return torch.stack(drawn, dim=1)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Without dropout, for a while."""
    before = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(before)


def _rows(state: State, index: Tensor) -> State:
    return {name: value[index] for name, value in state.items()}

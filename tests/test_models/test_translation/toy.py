"""Networks of a few words, of which all translations can be enumerated."""

import itertools

import torch

from slf_mmdet.datasets.bpe import EOS, PAD
from slf_mmdet.models.translation import LSTMSeq2Seq, TransformerSeq2Seq

WORDS = (3, 4)
SOURCE = torch.tensor([[3, 4, 3, EOS], [4, EOS, PAD, PAD], [3, 3, EOS, PAD]])
TARGET = torch.tensor([[4, 3, EOS], [3, EOS, PAD], [4, 4, EOS]])


def lstm(seed=0, vocab_size=5, num_layers=1, scale=1.0, dropout=0.0):
    torch.manual_seed(seed)
    return scaled(LSTMSeq2Seq(vocab_size, 6, 8, num_layers, dropout), scale)


def transformer(seed=0, vocab_size=5, num_layers=2, scale=1.0, dropout=0.0):
    torch.manual_seed(seed)
    return scaled(TransformerSeq2Seq(vocab_size, 8, num_layers, 2, 16, dropout), scale)


def scaled(network, scale):
    """With parameters so large that its decisions differ from one prefix to another."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network.double().eval()


def all_translations(max_length, cut=False):
    """Ids ``(M, max_length)`` of all sentences that end in time; with ``cut`` also those that are cut at the length."""
    found = [[*words, EOS] for n in range(max_length) for words in itertools.product(WORDS, repeat=n)]
    found += [list(words) for words in itertools.product(WORDS, repeat=max_length)] if cut else []
    return torch.tensor([tokens + [PAD] * (max_length - len(tokens)) for tokens in found])


def token_log_probs(network, source, tokens):
    """Of each token given those before it, ``(M, T)``, 0 at padding; the source is one sentence ``(1, S)``."""
    features = network(source.expand(len(tokens), -1), tokens)
    found = network.log_probs(features).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return found.masked_fill(tokens == PAD, 0)


def alone(source, index):
    """One sentence without padding, ``(1, S)``."""
    return source[index : index + 1, : int((source[index] != PAD).sum())]

"""LSTM and Transformer: padding, causality, and decoding step by step."""

import math

import pytest
import torch

from slf_mmdet.datasets.bpe import BOS, PAD
from slf_mmdet.models.translation import LSTMSeq2Seq, TransformerSeq2Seq
from slf_mmdet.models.translation.transformer import sinusoids

from .toy import SOURCE, TARGET, alone, lstm, transformer

networks = pytest.mark.parametrize(
    'build', [lstm, lambda: lstm(num_layers=2), transformer], ids=['LSTM-1', 'LSTM-2', 'Transformer']
)


@networks
def test_padding_changes_nothing(build):
    network = build()
    together = network(SOURCE, TARGET)
    for index in range(len(SOURCE)):
        target = alone(TARGET, index)
        single = network(alone(SOURCE, index), target)
        torch.testing.assert_close(together[index : index + 1, : target.shape[1]], single)


@networks
def test_a_feature_depends_on_the_tokens_before_alone(build):
    network = build()
    other = TARGET.clone()
    other[:, 1] = 7 - other[:, 1].clamp(3, 4)  # the other word
    one, two = network(SOURCE, TARGET), network(SOURCE, other)
    torch.testing.assert_close(one[:, :2], two[:, :2])
    assert (one[:, 2] - two[:, 2]).abs().amax(1).min() > 1e-4


@networks
def test_a_feature_depends_on_the_source(build):
    network = build()
    one, two = network(SOURCE, TARGET), network(SOURCE.flip(0), TARGET)
    assert (one - two)[0].abs().max() > 1e-4


@networks
def test_steps_equal_the_whole(build):
    network = build()
    state = network.start(SOURCE)
    inputs = torch.cat([torch.full((3, 1), BOS), TARGET[:, :-1]], dim=1)
    features = []
    for position in range(inputs.shape[1]):
        step, state = network.decode(state, inputs[:, position : position + 1])
        features.append(step)
        state = {name: value[torch.tensor([0, 1, 2])] for name, value in state.items()}  # rows are sentences
    torch.testing.assert_close(torch.cat(features, dim=1), network(SOURCE, TARGET))


@networks
def test_one_matrix_of_embeddings(build):
    network = build()
    assert network.output.weight is network.embedding.weight
    assert [name for name, _ in network.named_parameters() if 'output.weight' in name] == []
    assert not network.embedding.weight[PAD].any()


@networks
def test_padding_and_start_are_never_drawn(build):
    network = build()
    log_probs = network.log_probs(network(SOURCE, TARGET))
    assert (log_probs[..., [PAD, BOS]] == -torch.inf).all()
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 3, dtype=torch.double))


def test_layers_of_the_transformer_start_differently():
    first, second = transformer().encoder.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_positions_are_those_of_the_paper():
    found = sinusoids(5, 6, torch.zeros((), dtype=torch.double))
    expected = [
        [(math.cos if i % 2 else math.sin)(t / 10000 ** (2 * (i // 2) / 6)) for i in range(6)] for t in range(5)
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize(
    ('kind', 'settings', 'message'),
    [
        (LSTMSeq2Seq, dict(vocab_size=None), 'LSTMSeq2Seq: vocab_size must be an integer >= 4, the size of the voc'),
        (TransformerSeq2Seq, dict(vocab_size=3), 'vocab_size must be an integer >= 4.*found 3'),
        (LSTMSeq2Seq, dict(vocab_size=9, hidden_dims=5), 'hidden_dims must be an even integer >= 2, found 5'),
        (LSTMSeq2Seq, dict(vocab_size=9, embed_dims=0), 'embed_dims must be an integer >= 1, found 0'),
        (LSTMSeq2Seq, dict(vocab_size=9, num_layers=0), 'num_layers must be an integer >= 1, found 0'),
        (LSTMSeq2Seq, dict(vocab_size=9, dropout=1), r'dropout must be in \[0, 1\), found 1'),
        (TransformerSeq2Seq, dict(vocab_size=9, embed_dims=20), 'even and a multiple of num_heads=8, found 20'),
        (TransformerSeq2Seq, dict(vocab_size=9, num_heads=0), 'num_heads must be an integer >= 1, found 0'),
        (TransformerSeq2Seq, dict(vocab_size=9, feedforward_dims=0), 'feedforward_dims must be an integer >= 1'),
    ],
    ids=str,
)
def test_wrong_settings(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)

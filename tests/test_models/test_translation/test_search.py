"""Beam search against all translations and a literal loop; drawing against the probabilities."""

import pytest
import torch

from slf_mmdet.datasets.bpe import BOS, EOS, PAD
from slf_mmdet.models.translation import beam_search, sample

from .toy import SOURCE, TARGET, WORDS, all_translations, alone, lstm, token_log_probs, transformer

LENGTH = 4
networks = pytest.mark.parametrize('build', [lstm, transformer], ids=['LSTM', 'Transformer'])


def row(tokens, index):
    return [token for token in tokens[index].tolist() if token != PAD]


@networks
@pytest.mark.parametrize('penalty', [0.0, 1.0])
@torch.no_grad()
def test_a_wide_beam_finds_the_best_of_all_translations(build, penalty):
    everything = all_translations(LENGTH)
    lengths = (everything != PAD).sum(1)
    best = set()
    for seed in range(8):
        network = build(seed, scale=3.0)
        found = beam_search(network, SOURCE, 2 * len(everything), LENGTH, penalty)
        for index in range(len(SOURCE)):
            scores = token_log_probs(network, alone(SOURCE, index), everything).sum(1) / lengths**penalty
            expected = row(everything, int(scores.argmax()))
            assert row(found, index) == expected
            best.add(tuple(expected))
    assert len(best) > 2  # not always the same one


def literal_search(network, source, beam_size, max_length, penalty):
    """The same search of one sentence over lists."""
    state = network.start(source)
    beams, finished = [((), 0.0)], []
    for length in range(1, max_length + 1):
        candidates = []
        for tokens, score in beams:
            features, _ = network.decode(state, torch.tensor([[BOS, *tokens]]))
            log_probs = network.log_probs(features[0, -1]).tolist()
            last = length == max_length
            candidates += [((*tokens, t), score + log_probs[t]) for t in ((EOS,) if last else (EOS, *WORDS))]
        candidates.sort(key=lambda each: -each[1])
        finished += [(tokens, score / length**penalty) for tokens, score in candidates[:beam_size] if tokens[-1] == EOS]
        if len(finished) >= beam_size:
            break
        beams = [each for each in candidates if each[0][-1] != EOS][:beam_size]
    return list(max(finished, key=lambda each: each[1])[0])


@networks
@pytest.mark.parametrize('beam_size', [1, 2, 3])
@torch.no_grad()
def test_equals_a_literal_loop(build, beam_size):
    found = set()
    for seed in range(8):
        network = build(seed, scale=3.0)
        tokens = beam_search(network, SOURCE, beam_size, 6, 1.0)
        for index in range(len(SOURCE)):
            expected = literal_search(network, alone(SOURCE, index), beam_size, 6, 1.0)
            assert row(tokens, index) == expected
            found.add(len(expected))
    assert len(found) > 1


@networks
@torch.no_grad()
def test_a_beam_of_one_is_greedy(build):
    network = build(3, scale=3.0)
    tokens = beam_search(network, SOURCE, 1, LENGTH)
    for index in range(len(SOURCE)):
        expected = [BOS]
        while expected[-1] != EOS and len(expected) < LENGTH:
            features, _ = network.decode(network.start(alone(SOURCE, index)), torch.tensor([expected]))
            expected.append(int(network.log_probs(features[0, -1]).argmax()))
        assert row(tokens, index) == (expected if expected[-1] == EOS else [*expected, EOS])[1:]


@networks
def test_frequencies_are_the_probabilities(build):
    network, count = build(1, scale=2.0), 6000
    torch.manual_seed(0)
    drawn = sample(network, alone(SOURCE, 0).expand(count, -1), 2)
    drawn = torch.nn.functional.pad(drawn, (0, 2 - drawn.shape[1]))
    everything = all_translations(2, cut=True)
    p = token_log_probs(network, alone(SOURCE, 0), everything).sum(1).exp()
    torch.testing.assert_close(p.sum(), torch.ones((), dtype=torch.double))
    frequencies = (drawn.unsqueeze(1) == everything).all(-1).double().mean(0)
    assert frequencies.sum().item() == pytest.approx(1)
    assert ((frequencies - p).abs() < 4.5 * (p * (1 - p) / count).sqrt() + 1e-9).all()


@networks
def test_forced_tokens_are_taken_from_the_reference(build):
    network = build()
    torch.manual_seed(0)
    forced = torch.tensor([2, 2, 0]).repeat(50)
    tokens = sample(network, SOURCE.repeat(50, 1), 3, TARGET.repeat(50, 1), forced)
    assert (tokens[forced == 2][:, :2] == TARGET.repeat(50, 1)[forced == 2][:, :2]).all()
    assert (tokens[1::3, 2:] == PAD).all()  # its reference has ended
    assert len(tokens[0::3, 2].unique()) > 1 and len(tokens[2::3, 0].unique()) > 1


def test_is_drawn_without_dropout_and_the_mode_is_restored():
    network = lstm(dropout=0.9).train()
    torch.manual_seed(0)
    first = sample(network, SOURCE, LENGTH)
    torch.manual_seed(0)
    assert torch.equal(sample(network.eval(), SOURCE, LENGTH), first)
    network.train()
    sample(network, SOURCE, LENGTH)
    assert network.training and network.dropout.training

"""Losses of sequences: gradients against enumeration over all translations of a toy vocabulary, values by loops."""

import math

import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.datasets.bpe import EOS, PAD
from slf_mmdet.evaluation import sentence_bleu
from slf_mmdet.losses import critic_loss, critic_targets, expected_value, reinforce
from slf_mmdet.models.translation import ActorCritic, Mixer, SequenceSoftmaxMargin, TeacherForcing
from slf_mmdet.models.translation.objectives import mixer

from .toy import SOURCE, TARGET, all_translations, alone, lstm, token_log_probs, transformer

pytest.importorskip('sacrebleu', reason="needs sacrebleu: pip install 'slf-mmdet[text]'")

LENGTH = 3
ALL = all_translations(LENGTH, cut=True)
CRITIC = dict(type='LSTMSeq2Seq', embed_dims=8, hidden_dims=8, dropout=0.0)


def rewards():
    return sentence_bleu(ALL, TARGET[:1].expand(len(ALL), -1)).double()


def gradient(value, network):
    return torch.cat([grad.flatten() for grad in torch.autograd.grad(value, list(network.parameters()))])


def exact_gradient(network, weights):
    """That of minus the expected weight of a translation of the first sentence, by enumeration."""
    p = token_log_probs(network, alone(SOURCE, 0), ALL).sum(1).exp()
    return gradient(-(p * weights).sum(), network)


networks = pytest.mark.parametrize('build', [lstm, transformer], ids=['LSTM', 'Transformer'])


@networks
def test_expected_gradient_of_reinforce_by_enumeration(build):
    network = build(scale=1.5)
    log_probs = token_log_probs(network, alone(SOURCE, 0), ALL)
    # A baseline may depend on the tokens before
    before = torch.nn.functional.pad(ALL[:, :-1], (1, 0))
    baselines = 0.3 + 0.1 * before.cumsum(1)
    losses = reinforce(log_probs, rewards().unsqueeze(1), baselines) * (ALL != PAD)
    expected = (log_probs.sum(1).exp().detach() * losses.sum(1)).sum()
    exact = exact_gradient(network, rewards())
    torch.testing.assert_close(gradient(expected, network), exact)
    assert exact.abs().max() > 1e-3


@networks
@pytest.mark.parametrize('delta', [1, 2, 9])
def test_gradient_of_mixer_by_enumeration(build, delta, monkeypatch):
    """Drawn many times; the last delta tokens of a reference of three are left to the network."""
    network = build()
    loss = Mixer(network, delta, max_length=LENGTH).double().eval()  # its schedule does not go on
    forced = max(3 - delta, 0)
    given = (ALL[:, :forced] == TARGET[0, :forced]).all(1)
    kept = token_log_probs(network, alone(SOURCE, 0), ALL)[:, forced:].sum(1)
    exact = gradient(-(kept.exp() * rewards())[given].sum(), network)

    drawn = []

    def recording(*args):
        drawn.append(sample(*args))
        return drawn[-1]

    sample = mixer.sample
    monkeypatch.setattr(mixer, 'sample', recording)
    torch.manual_seed(0)
    found = []
    for _ in range(24):
        source, target = (each.expand(100, -1) for each in (alone(SOURCE, 0), TARGET[:1]))
        losses = loss(network, source, target)
        count = (drawn[-1] != PAD).sum() / len(source)  # tokens of a sentence, by whose number the loss is divided
        found.append(gradient(losses['loss_reinforce'] * count, network))
    found = torch.stack(found)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() <= 5 * error + 1e-9).all()
    assert error.norm() < 0.3 * exact.norm()  # enough draws to tell


def test_mixer_learns_the_forced_tokens_from_the_reference():
    network = lstm(scale=1.5)
    torch.manual_seed(0)
    losses = Mixer(network, delta=1, max_length=LENGTH).double()(network, SOURCE, TARGET)
    log_probs = network.output(network(SOURCE, TARGET)).log_softmax(-1)
    forced = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]  # all but the last token of each reference
    total = -sum(log_probs[i, t, TARGET[i, t]] for i, t in forced)
    # Of three tokens, and two or three where the second sentence goes on: found by the count that makes them equal
    counts = [float((total / losses['loss_token']).detach())]
    assert any(counts[0] == pytest.approx(count) for count in (8, 9))
    assert 0 <= losses['reward'] <= 1


def test_mixer_leaves_delta_tokens_more_every_interval(monkeypatch):
    network = lstm()
    loss = Mixer(network, delta=1, interval=2, warmup_iters=3, max_length=LENGTH).double()
    found = []
    sample = mixer.sample
    monkeypatch.setattr(mixer, 'sample', lambda *args: (found.append(args[-1].tolist()), sample(*args))[1])
    keys = [set(loss(network, SOURCE, TARGET)) for _ in range(9)]
    assert [len(each) for each in keys] == [2] * 3 + [5] * 6
    # References of 3, 2 and 3 tokens
    assert found == [[2, 1, 2]] * 2 + [[1, 0, 1]] * 2 + [[0, 0, 0]] * 2
    loss.eval()(network, SOURCE, TARGET)
    assert loss.counter.value == 9


def test_no_gradient_of_the_baseline_goes_to_the_network():
    network = lstm()
    loss = Mixer(network, delta=9, max_length=LENGTH).double()
    value = loss(network, SOURCE, TARGET)['loss_baseline']
    grads = torch.autograd.grad(value, [*network.parameters(), *loss.baseline.parameters()], allow_unused=True)
    assert [grad is None for grad in grads] == [True] * (len(grads) - 2) + [False] * 2


def exact_values():
    """Q ``(M, LENGTH, V)`` of every next token at each position of each translation, by enumeration, given p."""

    def values(p):
        r, table = rewards(), torch.zeros(len(ALL), LENGTH, 5, dtype=torch.double)
        for i, tokens in enumerate(ALL.tolist()):
            for t in range(LENGTH):
                for a in (EOS, 3, 4):
                    same = (ALL[:, : t + 1] == torch.tensor([*tokens[:t], a])).all(1)
                    if same.any():
                        table[i, t, a] = (p * r)[same].sum() / p[same].sum()
        return table

    return values


@networks
def test_expected_gradient_of_the_actor_by_enumeration(build):
    """With the exact values: the policy gradient theorem."""
    network = build(scale=1.5)
    p = token_log_probs(network, alone(SOURCE, 0), ALL).sum(1).exp().detach()
    log_probs = network.log_probs(network(alone(SOURCE, 0).expand(len(ALL), -1), ALL))
    losses = expected_value(log_probs, exact_values()(p)) * (ALL != PAD)
    torch.testing.assert_close(gradient((p * losses.sum(1)).sum(), network), exact_gradient(network, rewards()))


def test_targets_of_the_critic_are_the_exact_values_where_its_copy_is_exact():
    network = lstm(scale=1.5)
    with torch.no_grad():
        p = token_log_probs(network, alone(SOURCE, 0), ALL).sum(1).exp()
        log_probs = network.log_probs(network(alone(SOURCE, 0).expand(len(ALL), -1), ALL))
    values = exact_values()(p)
    final = torch.zeros(len(ALL), LENGTH, dtype=torch.double)
    real = ALL != PAD
    final[range(len(ALL)), real.sum(1) - 1] = rewards()  # a reward at the end has the same values
    found = critic_targets(final, log_probs, values, real)
    expected = values.gather(-1, ALL.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(found[real], expected[real])


def test_targets_and_loss_of_the_critic_by_literal_loops():
    generator = torch.Generator().manual_seed(0)
    r, kept = torch.rand(2, 3, generator=generator), torch.tensor([[True, True, True], [True, True, False]])
    log_p = torch.randn(2, 3, 4, generator=generator).log_softmax(-1)
    q = torch.randn(2, 3, 4, generator=generator)
    tokens = torch.randint(4, (2, 3), generator=generator)
    targets = critic_targets(r, log_p, q, kept)
    losses = critic_loss(q, tokens, targets, 0.1)
    for i in range(2):
        for t in range(3):
            target = float(r[i, t])
            if t < 2 and kept[i, t + 1]:
                target += sum(math.exp(log_p[i, t + 1, a]) * float(q[i, t + 1, a]) for a in range(4))
            mean = sum(map(float, q[i, t])) / 4
            spread = sum((float(value) - mean) ** 2 for value in q[i, t])
            assert float(targets[i, t]) == pytest.approx(target, abs=1e-6)
            error = (float(q[i, t, tokens[i, t]]) - target) ** 2
            assert float(losses[i, t]) == pytest.approx(error + 0.1 * spread, rel=1e-5)


def test_the_critic_learns_the_values_of_first_tokens():
    network = lstm(scale=1.5)
    p = token_log_probs(network, alone(SOURCE, 0), ALL).sum(1).exp().detach()
    torch.manual_seed(0)
    loss = ActorCritic(
        network, CRITIC, warmup_iters=1000, critic_iters=1000, max_length=LENGTH, variance_weight=0.0, momentum=0.3
    ).double()
    optimizer = torch.optim.Adam(loss.critic.parameters(), lr=0.02)
    source, target = (each.expand(16, -1) for each in (alone(SOURCE, 0), TARGET[:1]))
    for _ in range(150):
        optimizer.zero_grad()
        loss(network, source, target)['loss_critic'].backward()
        optimizer.step()
    found = loss.critic.output(loss.critic(TARGET[:1], ALL[:1]))[0, 0]
    expected = exact_values()(p)[0, 0]
    assert expected[[EOS, 3, 4]].std() > 0.1
    torch.testing.assert_close(found[[EOS, 3, 4]], expected[[EOS, 3, 4]], rtol=0, atol=0.1)


def test_phases_and_copies_of_actor_and_critic():
    network = lstm(scale=1.5)
    torch.manual_seed(0)
    loss = ActorCritic(network, CRITIC, warmup_iters=2, critic_iters=1, max_length=LENGTH, momentum=0.25).double()
    token = {'loss_token', 'accuracy'}
    start = [parameter.clone() for parameter in network.parameters()]
    assert set(loss(network, SOURCE, TARGET)) == token
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert set(loss(network, SOURCE, TARGET)) == token | {'loss_critic', 'reward'}  # the copies begin here
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    losses = loss(network, SOURCE, TARGET)
    assert set(losses) == token | {'loss_critic', 'loss_actor', 'reward'}
    for copy, before in zip(loss.delayed_actor.module.parameters(), start):
        torch.testing.assert_close(copy, before + 1.25)  # 0.75 (x + 1) + 0.25 (x + 2)
    torch.testing.assert_close(
        losses['loss_token'], 0.1 * TeacherForcing(network)(network, SOURCE, TARGET)['loss_token']
    )
    assert not any(parameter.requires_grad for parameter in loss.delayed_actor.parameters())
    grads = torch.autograd.grad(losses['loss_actor'], list(loss.critic.parameters()), allow_unused=True)
    assert all(grad is None for grad in grads)


@networks
def test_teacher_forcing_is_the_mean_over_the_tokens_of_the_references(build):
    network = build(scale=1.5)
    total, count = 0.0, 0
    for index in range(len(SOURCE)):
        target = alone(TARGET, index)
        log_probs = network.output(network(alone(SOURCE, index), target)).log_softmax(-1).detach()
        for t, token in enumerate(target[0].tolist()):
            total, count = total - float(log_probs[0, t, token]), count + 1
    found = TeacherForcing(network)(network, SOURCE, TARGET)
    assert float(found['loss_token']) == pytest.approx(total / count) and count == 8


def test_softmax_margin_of_candidates_equals_a_literal_loop(monkeypatch):
    network = lstm(scale=1.5)
    loss = SequenceSoftmaxMargin(network, num_samples=4, margin=2.0, token_weight=0.5, max_length=LENGTH)
    candidates = torch.cat([ALL[[0, 3, 5, 9]], ALL[[1, 1, 4, 6]], ALL[[2, 7, 8, 10]]])
    monkeypatch.setattr('slf_mmdet.models.translation.objectives.softmax_margin.sample', lambda *_: candidates)
    losses = loss(network, SOURCE, TARGET)
    expected = []
    for index in range(3):
        own = candidates[4 * index : 4 * index + 4]
        scores = token_log_probs(network, alone(SOURCE, index), own).sum(1).tolist()
        bleu = sentence_bleu(own, TARGET[index : index + 1].expand(4, -1)).tolist()
        best = bleu.index(max(bleu))
        total = sum(math.exp(s + 2.0 * (bleu[best] - b)) for s, b in zip(scores, bleu))
        expected.append(-scores[best] + math.log(total))
    assert float(losses['loss_margin']) == pytest.approx(sum(expected) / 3, rel=1e-6)
    assert 0.05 < float(losses['reward']) < 0.95
    torch.testing.assert_close(
        losses['loss_token'], 0.5 * TeacherForcing(network)(network, SOURCE, TARGET)['loss_token']
    )


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='Mixer', delta=0), 'Mixer: delta must be an integer >= 1, found 0'),
        (dict(type='Mixer', delta=1, interval=0), 'interval must be an integer >= 1, found 0'),
        (dict(type='Mixer', delta=1, warmup_iters=-1), 'warmup_iters must be an integer >= 0, found -1'),
        (dict(type='Mixer', delta=1, max_length=0), 'max_length must be an integer >= 1, found 0'),
        (dict(type='ActorCritic', critic=CRITIC, critic_iters=1), 'from 0 to warmup_iters=0, found 1'),
        (dict(type='ActorCritic', critic=CRITIC, token_weight=-1), 'token_weight must be a finite number >= 0'),
        (dict(type='ActorCritic', critic=CRITIC, variance_weight=-1), 'variance_weight must be a finite number >= 0'),
        (dict(type='ActorCritic', critic=CRITIC, momentum=0), r'momentum must be in \(0, 0.5\], found 0'),
        (dict(type='SequenceSoftmaxMargin', num_samples=1), 'num_samples must be an integer >= 2, found 1'),
        (dict(type='SequenceSoftmaxMargin', margin=-1), 'margin must be a finite number >= 0, found -1'),
        (dict(type='SequenceSoftmaxMargin', token_weight=-1), 'token_weight must be a finite number >= 0'),
    ],
    ids=str,
)
def test_wrong_settings(cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg, default_args=dict(network=lstm()))

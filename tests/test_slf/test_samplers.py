"""From probabilities to weights: seeds, schedules and noise of the samplers. The draws: see test_gumbel_softmax.py."""

import pytest
import torch

from slf_mmdet.slf import (
    MultipleGumbelSoftmax,
    SelectiveCode,
    Softmax,
    StratifiedGumbelSoftmax,
    multiple_gumbel_softmax,
    stratified_gumbel_softmax,
)

LOG_P = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).log().repeat(32, 1)
DRAWING = pytest.mark.parametrize('kind', [MultipleGumbelSoftmax, StratifiedGumbelSoftmax])


def test_softmax_is_the_probabilities():
    torch.testing.assert_close(Softmax()(LOG_P), LOG_P.exp())


def test_selective_code_is_the_decomposition_of_equation_2():
    code = SelectiveCode(a=torch.tensor([1.0, 0.0]), b=torch.tensor([1.0, 0.0]))
    assert (code.a * code.b).sum() == 1


@pytest.mark.parametrize(
    ('kind', 'function'),
    [(MultipleGumbelSoftmax, multiple_gumbel_softmax), (StratifiedGumbelSoftmax, stratified_gumbel_softmax)],
)
def test_each_step_draws_with_its_own_generator(kind, function):
    sampler = kind(num_samples=5, tau=0.7, seed=3)
    for step in range(3):
        noise = sampler.generator.at(step, LOG_P.device)
        assert torch.equal(sampler(LOG_P), function(LOG_P, 5, 0.7, generator=noise))


def test_relaxed_samples():
    sampler = MultipleGumbelSoftmax(num_samples=2, hard=False, seed=0)
    noise = sampler.generator.at(0, LOG_P.device)
    assert torch.equal(sampler(LOG_P), multiple_gumbel_softmax(LOG_P, 2, hard=False, generator=noise))


@pytest.mark.parametrize('settings', [dict(tau=1.0), dict(num_samples=30), dict()])
@DRAWING
def test_a_setting_that_is_the_default_changes_nothing(kind, settings):
    """Whether samples are drawn depends on the kind of sampler alone."""
    found = kind(seed=0, **settings)(LOG_P)
    assert torch.equal(found, kind(seed=0)(LOG_P))
    torch.testing.assert_close(found * 30, (found * 30).round(), atol=1e-4, rtol=0)


def test_number_of_samples_is_30_by_default():
    assert MultipleGumbelSoftmax().num_samples.at(0) == StratifiedGumbelSoftmax().num_samples.at(0) == 30


@DRAWING
@pytest.mark.parametrize('seed', [None, 7])
def test_seed_decides_the_samples_whatever_the_global_state(kind, seed):
    def draws(seed):
        torch.manual_seed(1)
        sampler = kind(num_samples=1, seed=seed)
        torch.rand(5)
        return torch.stack([sampler(LOG_P) for _ in range(4)])

    assert torch.equal(draws(seed), draws(seed))
    assert not torch.equal(draws(seed), draws(8))
    assert len(draws(seed).unique(dim=0)) > 2


@DRAWING
def test_without_a_seed_it_follows_that_of_the_run(kind):
    torch.manual_seed(1)
    one = kind(num_samples=1)(LOG_P)
    torch.manual_seed(2)
    assert not torch.equal(one, kind(num_samples=1)(LOG_P))


@DRAWING
def test_in_evaluation_mode_the_draw_of_the_next_step_is_repeated(kind):
    sampler = kind(num_samples=1, seed=0)
    sampler(LOG_P)
    sampler.eval()
    first, second = sampler(LOG_P), sampler(LOG_P)
    sampler.train()
    assert torch.equal(first, second) and torch.equal(first, sampler(LOG_P))


@DRAWING
def test_number_of_samples_follows_a_schedule(kind):
    schedule = dict(value=5, schedulers=[dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.2, end=5)])
    sampler, samples = kind(num_samples=schedule), []
    for _ in range(6):
        weights = sampler(LOG_P)
        # multiples of 1 / K
        samples.append(next(k for k in range(1, 9) if torch.allclose(weights * k, (weights * k).round(), atol=1e-4)))
    assert samples == [5, 4, 3, 2, 1, 1]


@DRAWING
def test_temperature_follows_a_schedule_and_goes_on_with_it(kind):
    schedule = dict(value=4.0, schedulers=[dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.25, end=6)])
    sampler, values = kind(tau=schedule), []
    # mmengine interpolates linearly over end - 1 = 5 steps: 4, 3.4, 2.8, 2.2, 1.6, 1 and then stays.
    for _ in range(8):
        values.append(sampler.tau.at(sampler.counter.value))
        sampler(LOG_P)
    assert values == pytest.approx([4, 3.4, 2.8, 2.2, 1.6, 1, 1, 1])
    resumed = kind(tau=schedule)
    resumed.load_state_dict(sampler.state_dict())
    assert resumed.tau.at(resumed.counter.value) == pytest.approx(1)
    assert resumed.tau.at(2) == pytest.approx(2.8)


@DRAWING
@pytest.mark.parametrize(
    ('noise', 'one_for_all', 'independent'),
    [
        (None, False, True),
        (None, True, False),
        ('independent', True, True),
        ('shared', False, False),
    ],
)
def test_noise_of_another_process(kind, noise, one_for_all, independent, monkeypatch):
    sampler = kind(num_samples=1, noise=noise, seed=0).eval()
    first = sampler(LOG_P, one_for_all)
    monkeypatch.setattr('mmengine.dist.get_rank', lambda: 1)
    assert torch.equal(first, sampler(LOG_P, one_for_all)) != independent


@DRAWING
@pytest.mark.parametrize(
    ('wrong', 'error', 'message'),
    [
        (dict(num_samples=0), ValueError, r"num_samples \(the paper's K\) must be an integer >= 1, found 0. K=1 picks"),
        (dict(num_samples=2.5), ValueError, 'num_samples.*found 2.5'),
        (dict(num_samples=dict(value=0, schedulers=[])), ValueError, 'num_samples.*found 0'),
        (dict(num_samples=dict(value=3)), TypeError, 'num_samples must be a number or dict.*found {.value.: 3}'),
        (dict(tau=0), ValueError, 'tau must be > 0, found 0'),
        (dict(tau=-1.0), ValueError, 'tau must be > 0, found -1'),
        (dict(tau=float('nan')), ValueError, 'tau must be > 0, found nan'),
        (dict(tau=dict(start=1)), TypeError, r'tau must be a number or dict\(value=NUMBER'),
        (dict(noise='same'), ValueError, r"noise must be None or one of \['independent', 'shared'\], found 'same'"),
        (dict(seed=-1), ValueError, 'seed must be an integer >= 0, or None for one from the seed of the run, found -1'),
    ],
)
def test_wrong_settings(kind, wrong, error, message):
    with pytest.raises(error, match=f'^{kind.__name__}: {message}'):
        kind(**wrong)


def test_hard_is_true_or_false():
    with pytest.raises(ValueError, match="MultipleGumbelSoftmax: hard must be True or False, found 'yes'"):
        MultipleGumbelSoftmax(hard='yes')

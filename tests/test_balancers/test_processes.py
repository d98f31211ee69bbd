"""Balancers in two and in four processes that see different images and were seeded differently."""

import pytest
import torch
from mmdet.registry import TASK_UTILS

from slf_mmdet.slf import DecisionBalancer, Prior, Sampler, Signal
from slf_mmdet.utils.config import registered

from ..processes import run_in, run_in_two
from .registry import all_balancers
from .small_run import (
    EXACT,
    EXACT_SLF,
    SYNCED,
    batch_norm,
    images,
    process,
    process_of_four,
    process_on_gpu,
    train,
)

# One set of weights for each image, whose images are those of the process.
BY_IMAGE = set(registered(DecisionBalancer))


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return run_in_two(process, tmp_path_factory.mktemp('two_processes') / 'result')


@pytest.fixture(scope='module')
def of_four(tmp_path_factory):
    return run_in(4, process_of_four, tmp_path_factory.mktemp('four_processes') / 'result')


@pytest.mark.parametrize('find_unused', [False, True])
@pytest.mark.parametrize('name', all_balancers())
def test_weights_and_state_are_equal_in_both(name, find_unused, results):
    (weights, state), (other_weights, other_state) = (result[name, find_unused] for result in results)
    if name not in BY_IMAGE:
        assert weights == other_weights
    for key, value in state.items():
        assert torch.equal(value, other_state[key]), key
    assert torch.isfinite(torch.tensor(weights)).all()


@pytest.mark.parametrize('name', sorted(set(all_balancers()) - BY_IMAGE))
def test_two_processes_train_as_one_with_all_images(name, results):
    assert_as_one(results[0][name, False], name=name)


@pytest.mark.parametrize('variant', EXACT)
def test_decision_networks_too_where_their_weights_are_not_random_by_image(variant, results):
    (weights, state), (other_weights, other_state) = (result[variant] for result in results)
    for key, value in state.items():
        assert torch.equal(value, other_state[key]), key
    mean = (torch.tensor(weights) + torch.tensor(other_weights)) / 2  # those of images differ with the images
    if 'batch' in EXACT[variant].values():
        assert weights == other_weights
    assert_as_one((mean.tolist(), state), **EXACT[variant])


@pytest.mark.parametrize('variant', EXACT)
def test_four_processes_that_accumulate_gradients_train_as_one(variant, of_four):
    assert_all_as_one([result[variant] for result in of_four], accumulate=2, **EXACT[variant])


@pytest.mark.parametrize('variant', SYNCED)
def test_so_they_do_with_sync_bn(variant, of_four):
    assert_all_as_one([result[variant, 'sync_bn'] for result in of_four], **accumulated(variant))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')
def test_torchs_own_sync_bn_on_gpu(tmp_path):
    results = run_in_two(process_on_gpu, tmp_path / 'result')
    for variant in SYNCED:
        assert_all_as_one([result[variant] for result in results], device='cuda:0', **accumulated(variant))


def accumulated(variant):
    return dict(SYNCED[variant], accumulate=2, norm=batch_norm())


@pytest.mark.parametrize('variant', EXACT)
def test_unequal_last_batches_leave_the_processes_equal(variant, of_four):
    (weights, state), *others = (result[variant, 'unequal'] for result in of_four)
    for other_weights, other in others:
        assert all(torch.equal(value, other[key]) and value.isfinite().all() for key, value in state.items())
        if 'batch' in EXACT[variant].values():
            assert weights == other_weights


def test_every_signal_sampler_and_prior_is_among_them():
    for key, base in (('signal', Signal), ('sampler', Sampler), ('prior', Prior)):
        assert {settings[key]['type'] for settings in EXACT_SLF.values()} == set(registered(base, TASK_UTILS))


def assert_all_as_one(results, **settings):
    """All have the same state, which is that of one process with the images of all; so is the mean of the weights."""
    (_, state), *others = results
    for _, other in others:
        assert all(torch.equal(value, other[key]) for key, value in state.items())
    mean = torch.tensor([weights for weights, _ in results]).mean(0).tolist()
    assert_as_one((mean, state), processes=len(results), **settings)


def assert_as_one(result, processes=2, **settings):
    weights, state = result
    together = [torch.cat(batches) for batches in zip(*map(images, range(processes)))]
    expected_weights, expected_state = train(0, together, **settings)
    torch.testing.assert_close(torch.tensor(weights), torch.tensor(expected_weights), rtol=1e-4, atol=1e-5)
    for key, value in state.items():
        torch.testing.assert_close(value, expected_state[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('granularity', 'noise', 'equal'),
    [
        ('image', None, False),
        ('image', 'independent', False),
        ('image', 'shared', True),
        ('batch', None, True),
        ('batch', 'independent', False),
        ('batch', 'shared', True),
    ],
)
def test_noise_is_shared_or_independent_as_configured(granularity, noise, equal, results):
    first, second = (result[granularity, noise] for result in results)  # of the same images
    assert (first == second) == equal

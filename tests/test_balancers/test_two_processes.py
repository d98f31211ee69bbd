"""All balancers in two processes that see different images and were seeded differently."""

import pytest
import torch
from registry import all_balancers
from small_run import images, process, train

# One set of weights for each image, whose images are those of the process.
BY_IMAGE = {'SLFBalancer'}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp('two_processes') / 'result'
    torch.multiprocessing.spawn(process, (str(out),), nprocs=2)
    return [torch.load(f'{out}.{rank}') for rank in range(2)]


@pytest.mark.parametrize('find_unused', [False, True])
@pytest.mark.parametrize('name', all_balancers())
def test_weights_and_state_are_equal_in_both(name, find_unused, results):
    (weights, state), (other_weights, other_state) = (result[name, find_unused] for result in results)
    if name not in BY_IMAGE:
        assert weights == other_weights
    for key, value in state.items():
        assert torch.equal(value, other_state[key]), key
    assert torch.isfinite(torch.tensor(weights)).all()


# Images of their own noise, and norms of two gradients instead of the norm of their mean.
NOT_AS_ONE = {'SLFBalancer', 'GradNormBalancer'}


@pytest.mark.parametrize('name', sorted(set(all_balancers()) - NOT_AS_ONE))
def test_two_processes_train_as_one_with_all_images(name, results):
    weights, state = results[0][name, False]
    together = [torch.cat(batches) for batches in zip(images(0), images(1))]
    expected_weights, expected_state = train(name, 0, together)
    torch.testing.assert_close(torch.tensor(weights), torch.tensor(expected_weights), rtol=1e-4, atol=1e-5)
    for key, value in state.items():
        torch.testing.assert_close(value, expected_state[key], rtol=1e-4, atol=1e-5)

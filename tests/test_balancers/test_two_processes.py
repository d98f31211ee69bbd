"""All balancers in two processes that see different images and were seeded differently."""

import datetime
import functools
import itertools
import os

import pytest
import torch
import torch.distributed
from mmengine.model import MMDistributedDataParallel
from registry import CONTEXT_DIM, PARTS, all_balancers, build, objective
from torch import nn

import slf_mmdet  # noqa: F401  spawned processes start from here

STEPS = 6
# One set of weights for each image, whose images are those of the process.
BY_IMAGE = {'SLFBalancer'}


class Detector(nn.Module):
    """A linear layer whose squared outputs are the parts."""

    def __init__(self, balancer):
        super().__init__()
        self.layer = nn.Linear(CONTEXT_DIM, CONTEXT_DIM)
        self.balancer = balancer

    def forward(self, x):
        output = self.layer(x)
        return self.balancer({name: output[:, i].square() for i, name in enumerate(PARTS)}, output)


def images(rank):
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(4, CONTEXT_DIM, generator=generator) * (1 + rank) for _ in range(STEPS)]


def train(name, seed, batches, wrap=lambda model: model):
    balancer = build(name)  # seeds every process alike
    torch.manual_seed(seed)
    if hasattr(balancer, 'generator'):
        balancer.generator = type(balancer.generator)()
    detector = Detector(balancer)
    model = wrap(detector)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    weights = []
    for batch in batches:
        out = model(batch)
        optimizer.zero_grad()
        objective(out).backward()
        optimizer.step()
        weights.append([out[f'balance/{part}'].item() for part in PARTS])
    return weights, {key: value.clone() for key, value in detector.state_dict().items()}


def process(rank, port, out):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    timeout = datetime.timedelta(seconds=120)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2, timeout=timeout)
    result = {}
    for name, find_unused in itertools.product(all_balancers(), (False, True)):
        wrap = functools.partial(MMDistributedDataParallel, find_unused_parameters=find_unused)
        result[name, find_unused] = train(name, rank, images(rank), wrap)
    torch.save(result, f'{out}.{rank}')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp('two_processes') / 'result'
    torch.multiprocessing.spawn(process, (29741, str(out)), nprocs=2)
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

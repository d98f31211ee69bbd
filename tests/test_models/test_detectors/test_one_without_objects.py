"""Distributed training goes on where the batch of one process has no object."""

import pytest
import torch
from one_without_objects import models, process


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    out = str(tmp_path_factory.mktemp('one_without_objects') / 'parameters')
    torch.multiprocessing.spawn(process, (out,), nprocs=2)
    return [torch.load(f'{out}.{rank}', weights_only=True) for rank in range(2)]


@pytest.mark.parametrize('name', models())
def test_processes_stay_equal_and_finite(name, results):
    first, second = (result[name] for result in results)
    for key, value in first.items():
        assert torch.equal(value, second[key]) and torch.isfinite(value).all(), key
    learnt = [value for key, value in first.items() if key.endswith('decision_network.output.weight')]
    assert learnt and all(value.abs().sum() > 0 for value in learnt)  # it starts at 0

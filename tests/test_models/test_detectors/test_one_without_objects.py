"""Distributed training goes on where the batch of one process has no object."""

import pytest
import torch

from ...processes import run_in_two
from .one_without_objects import models, process


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return run_in_two(process, tmp_path_factory.mktemp('one_without_objects') / 'parameters')


@pytest.mark.parametrize('name', models())
def test_processes_stay_equal_and_finite(name, results):
    first, second = (result[name] for result in results)
    for key, value in first.items():
        assert torch.equal(value, second[key]) and torch.isfinite(value).all(), key
    learnt = [value for key, value in first.items() if key.endswith('decision_network.output.weight')]
    assert learnt and all(value.abs().sum() > 0 for value in learnt)  # it starts at 0

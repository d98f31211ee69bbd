"""FSDP, DeepSpeed and ColossalAI are refused at the start; FlexibleRunner trains as the ordinary one without them."""

import pytest
import torch
from mmengine._strategy import ColossalAIStrategy, DeepSpeedStrategy
from torch import nn

from slf_mmdet.balancers import ShardedTrainingError

from ..processes import run_in_two
from ..test_hooks.tiny_run import TinyDetector
from .sharded_run import FSDP_ON_CPU, SLF, process, run, state


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return run_in_two(process, tmp_path_factory.mktemp('sharded') / 'result')


@pytest.mark.skipif(not FSDP_ON_CPU, reason='FSDP on the CPU, and its second version, need torch 2.6')
@pytest.mark.parametrize('training', ['strategy', 'wrapper', 'static', 'second_version'])
def test_fsdp_is_refused_in_both_processes(training, results):
    balancer = 'StaticBalancer' if training == 'static' else 'SLFBalancer'
    for result in results:
        assert result[training].startswith(f'{balancer} is not supported under FSDP, ')
        assert 'MMDistributedDataParallel' in result[training] and 'DDPStrategy' in result[training]


@pytest.mark.parametrize('training', ['flexible', 'resumed'])
def test_ddp_strategy_trains_as_the_ordinary_runner(training, results):
    for result in results:
        assert_equal(result[training], result['ordinary'])


def test_single_device_strategy_trains_as_the_ordinary_runner(tmp_path):
    ordinary = state(run(tmp_path / 'ordinary'))
    strategy = dict(type='SingleDeviceStrategy')
    assert_equal(state(run(tmp_path / 'flexible', strategy)), ordinary)
    assert_equal(state(run(tmp_path / 'flexible', strategy, resume_from='epoch_1.pth')), ordinary)


@pytest.mark.parametrize('strategy_class', [DeepSpeedStrategy, ColossalAIStrategy])
def test_deepspeed_and_colossalai_are_refused(strategy_class):
    """Before they need their library, which is not installed here."""
    name = strategy_class.__name__.removesuffix('Strategy')
    with pytest.raises(ShardedTrainingError, match=f'SLFBalancer is not supported under {name}, '):
        unprepared(strategy_class).prepare(TinyDetector(SLF), optim_wrapper=dict(), dispatch_kwargs={})


@pytest.mark.parametrize('strategy_class', [DeepSpeedStrategy, ColossalAIStrategy])
@pytest.mark.parametrize(
    ('model', 'settings'),
    [(TinyDetector(SLF), {}), (nn.Linear(1, 1), dict(optim_wrapper=dict()))],
    ids=['test', 'none'],
)
def test_they_may_test_a_model_and_train_one_without_balancer(strategy_class, model, settings):
    strategy = unprepared(strategy_class)
    strategy._prepared, strategy._prepared_components = True, lambda: 'prepared'
    assert strategy.prepare(model, **settings) == 'prepared'


def unprepared(strategy_class):
    strategy = object.__new__(strategy_class)
    strategy._prepared = False
    return strategy


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())

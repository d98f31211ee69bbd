"""Checkpoints of mmengine load with ``weights_only=True``; what is not declared safe stays refused."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim.scheduler import param_scheduler

import slf_mmdet

from ..helpers import needs_torch

pytestmark = needs_torch('2.6', 'mmengine, to load nothing but weights by default,')


def test_log_history_loads(tmp_path):
    hub = MessageHub('test_safe_globals')
    for value in (1.0, np.float64(2.0), np.float32(3.0), torch.tensor(4.0), 5):
        hub.update_scalar('train/loss', value)
    hub.update_info('epoch', 3)
    torch.save(dict(message_hub=hub.state_dict(), meta=dict(epoch=1)), tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)['message_hub']
    assert loaded['log_scalars']['train/loss'].data[0].tolist() == [1, 2, 3, 4, 5]


SETTINGS = {
    'CosineAnnealingParamScheduler': dict(T_max=5, eta_min=0.0),
    'CosineRestartParamScheduler': dict(periods=[5], restart_weights=[1], eta_min=0.0),
    'ExponentialParamScheduler': dict(gamma=0.9),
    'MultiStepParamScheduler': dict(milestones=[2]),
    'OneCycleParamScheduler': dict(eta_max=1.0, total_steps=10),
    'ReduceOnPlateauParamScheduler': dict(monitor='loss'),
    'StepParamScheduler': dict(step_size=2),
}


def param_schedulers():
    classes = inspect.getmembers(param_scheduler, inspect.isclass)
    return sorted(name for name, _ in classes if name.endswith('ParamScheduler') and not name.startswith('_'))


@pytest.mark.parametrize('name', param_schedulers())
def test_the_state_of_every_parameter_scheduler_loads(name, tmp_path):
    def build():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        return getattr(param_scheduler, name)(optimizer, 'lr', **SETTINGS.get(name, {}))

    scheduler = build()
    torch.save(scheduler.state_dict(), tmp_path / 'state.pth')
    state = torch.load(tmp_path / 'state.pth', weights_only=True)
    assert state.keys() == scheduler.state_dict().keys()
    build().load_state_dict(state)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (self.target, 'w')


def test_a_malicious_checkpoint_is_refused_and_does_not_run(tmp_path):
    victim = tmp_path / 'written_by_the_checkpoint'
    torch.save(dict(state_dict=Malicious(str(victim))), tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        torch.load(tmp_path / 'evil.pth')
    assert not victim.exists()


class Attribute:
    def __reduce__(self):
        return getattr, (np.ndarray, '__subclasses__')


def test_attributes_of_other_classes_stay_out_of_reach(tmp_path):
    torch.save(dict(state_dict=Attribute()), tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match='__subclasses__.*not allowed'):
        torch.load(tmp_path / 'evil.pth')


def test_applying_again_changes_nothing():
    before = len(torch.serialization.get_safe_globals())
    slf_mmdet.compat.apply()
    assert len(torch.serialization.get_safe_globals()) == before

"""Checkpoints of mmengine load with ``weights_only=True``; what is not declared safe stays refused."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

import slf_mmdet


def test_log_history_loads(tmp_path):
    hub = MessageHub('test_safe_globals')
    for value in (1.0, np.float64(2.0), np.float32(3.0), torch.tensor(4.0), 5):
        hub.update_scalar('train/loss', value)
    hub.update_info('epoch', 3)
    torch.save(dict(message_hub=hub.state_dict(), meta=dict(epoch=1)), tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)['message_hub']
    assert loaded['log_scalars']['train/loss'].data[0].tolist() == [1, 2, 3, 4, 5]


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

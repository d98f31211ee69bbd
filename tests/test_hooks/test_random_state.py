"""Random numbers are those of the seed and the step, or are left to mmengine."""

import torch
from mmengine.hooks import CheckpointHook
from torch import nn

from slf_mmdet.hooks import RandomStateHook
from slf_mmdet.hooks.random_state import mixed_seed

from .tiny_run import TinyDetector, build_runner, image


class Dropped(TinyDetector):
    """Dropout draws from the global generator."""

    def forward(self, inputs, data_samples, mode='loss'):
        return super().forward(nn.functional.dropout(inputs), data_samples, mode)


def train(work_dir, max_epochs, enabled=True, resume=False):
    """Without a seed in the config, which mmengine then draws."""
    torch.manual_seed(0)
    runner = build_runner(
        work_dir,
        Dropped(dict(type='StaticBalancer')),
        [image(i) for i in range(8)],
        RandomStateHook(enabled),
        CheckpointHook(interval=1),
        max_epochs=max_epochs,
        resume=resume,
        shuffle=True,
    )
    runner.train()
    return runner


def state(work_dir, epoch):
    return torch.load(work_dir / f'epoch_{epoch}.pth')['state_dict']


def equal(one, other):
    return all(torch.equal(value, other[key]) for key, value in one.items())


def resumed_and_uninterrupted(tmp_path, enabled):
    train(tmp_path, 3, enabled)
    uninterrupted = state(tmp_path, 3)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    train(tmp_path, 3, enabled, resume=True)
    return state(tmp_path, 3), uninterrupted


def test_resumed_run_equals_uninterrupted_also_without_a_seed(tmp_path):
    assert equal(*resumed_and_uninterrupted(tmp_path, enabled=True))


def test_switched_off_mmengine_does_not_resume_exactly(tmp_path):
    """If this fails, mmengine restores its random state itself now."""
    assert not equal(*resumed_and_uninterrupted(tmp_path, enabled=False))


def test_seeds_do_not_overlap():
    seeds = [mixed_seed(seed, kind, step) for seed in range(10) for kind in (0, 1) for step in range(100)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**31 for seed in seeds)

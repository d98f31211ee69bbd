"""A run that is killed again and again ends as the uninterrupted one, to the bit."""

import os
import random
import signal
from pathlib import Path

import pytest
import torch
from helpers import DIGITS_SLF, ROOT, run_python

EPOCHS, ITERATIONS = 6, 4  # 64 images in batches of 16
# All that draws random numbers: augmentation in two workers, dropout, Gumbel noise
CONFIG = f"""
_base_ = {str(DIGITS_SLF)!r}
custom_imports = dict(imports=['slf_mmdet', 'killed'])
custom_hooks = [dict(type='KillHook')]
randomness = dict(seed=SEED)
model = dict(bbox_head=dict(dropout=0.2))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(112, 112), keep_ratio=False),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackDetInputs'),
        ]
    )
)
val_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_epochs={EPOCHS}, val_interval=2)
"""


def train(digits, folder, *args, seed=3, **kill):
    config = folder / 'config.py'
    config.write_text(CONFIG.replace('SEED', str(seed)))
    options = [f'custom_hooks.0.{key}={value}' for key, value in kill.items()]
    options = ['--cfg-options', *options] if options else []
    done = run_python(
        ROOT / 'tools/train.py',
        config,
        '--work-dir',
        folder / 'run',
        *args,
        *options,
        cwd=digits,
        env=dict(PYTHONPATH=os.pathsep.join([str(ROOT), str(Path(__file__).parent)])),
        check=False,
    )
    assert done.returncode == (-signal.SIGKILL if kill else 0), done.stdout[-3000:]
    return done.stdout


def end_of(folder):
    """Weights, optimizer and metrics at the end of a run."""
    checkpoint = torch.load(folder / 'run' / f'epoch_{EPOCHS}.pth', weights_only=True)
    hub = checkpoint['message_hub']['log_scalars']
    return checkpoint['state_dict'], checkpoint['optimizer']['state'], hub['val/pascal_voc/mAP'].data[0].tolist()


def assert_same(one, other):
    (state, optimizer, metrics), (other_state, other_optimizer, other_metrics) = one, other
    assert state.keys() == other_state.keys() and any('loss_balancer' in key for key in state)
    for key, value in state.items():
        assert torch.equal(value, other_state[key]), key
    for index, entry in optimizer.items():
        for key, value in entry.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(other_optimizer[index][key])), (index, key)
    assert metrics == other_metrics


@pytest.fixture(scope='module')
def uninterrupted(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp('uninterrupted')
    train(digits, folder)
    return end_of(folder)


def test_five_kills(digits, uninterrupted, tmp_path):
    choose = random.Random(0)
    # Four at random iterations, each in an epoch that begins with a checkpoint; one amid a checkpoint
    kills = [dict(iteration=epoch * ITERATIONS + choose.randrange(ITERATIONS)) for epoch in (1, 2, 4, 5)]
    kills.insert(2, dict(checkpoint='epoch_4.pth'))
    for kill in kills:
        train(digits, tmp_path, '--resume', **kill)
    assert not (tmp_path / 'run' / f'epoch_{EPOCHS}.pth').exists()
    train(digits, tmp_path, '--resume')
    assert_same(end_of(tmp_path), uninterrupted)

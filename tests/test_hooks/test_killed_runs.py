"""A run that is killed again and again ends as the uninterrupted one, to the bit."""

import random
import signal

import pytest
import torch
from mmengine.config import Config

from ..helpers import DIGITS_SLF
from .killed import END, ORDER, exit_code

pytestmark = pytest.mark.integration

EPOCHS, ITERATIONS = 4, 4  # 32 images in batches of 8
# All that draws random numbers: the order of the data, augmentation in two workers, dropout, Gumbel noise
CHANGES = dict(
    randomness=dict(seed=3),
    model=dict(bbox_head=dict(dropout=0.2)),
    train_cfg=dict(max_epochs=EPOCHS, val_interval=2),
    val_dataloader=dict(num_workers=0, persistent_workers=False),
    visualizer=dict(vis_backends=[]),
)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(112, 112), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]


def run(digits, work_dir, resume=False, **kill):
    cfg = Config.fromfile(DIGITS_SLF)
    cfg.merge_from_dict(CHANGES)
    cfg.train_dataloader.batch_size = 8
    cfg.train_dataloader.dataset.update(pipeline=PIPELINE, indices=ITERATIONS * 8)
    cfg.custom_hooks = [dict(type='KillHook', **kill)]
    cfg.work_dir, cfg.resume = str(work_dir), resume
    code = exit_code(cfg.to_dict(), digits)
    assert code == (-signal.SIGKILL if kill else 0), (work_dir / 'stdout.txt').read_text()[-3000:]


def end_of(work_dir):
    return torch.load(work_dir / END)


def order_of(work_dir):
    """The images of each iteration; an iteration that ran twice has to be there twice alike to be one entry."""
    return sorted(set((work_dir / ORDER).read_text().splitlines()))


@pytest.fixture(scope='module')
def uninterrupted(digits, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('uninterrupted')
    run(digits, work_dir)
    return work_dir


def test_six_kills(digits, uninterrupted, tmp_path):
    choose = random.Random(0)
    # At five random iterations, of which those of the first epoch have no checkpoint yet; and once amid a checkpoint
    kills = [dict(iteration=epoch * ITERATIONS + choose.randrange(ITERATIONS)) for epoch in (0, 1, 1, 2, 3)]
    kills.insert(4, dict(checkpoint='epoch_3.pth'))
    for kill in kills:
        run(digits, tmp_path, resume=True, **kill)
    assert not (tmp_path / END).exists()
    run(digits, tmp_path, resume=True)

    ours, theirs = end_of(tmp_path), end_of(uninterrupted)
    assert ours['state'].keys() == theirs['state'].keys() and any('loss_balancer' in key for key in ours['state'])
    for key, value in ours['state'].items():
        assert torch.equal(value, theirs['state'][key]), key
    assert same(ours['optimizer'], theirs['optimizer'])
    assert ours['metrics'] == theirs['metrics'] and ours['metrics']['val/pascal_voc/mAP']
    assert order_of(tmp_path) == order_of(uninterrupted) and len(order_of(tmp_path)) == EPOCHS * ITERATIONS


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool((torch.as_tensor(a) == torch.as_tensor(b)).all()) if a is not None else b is None

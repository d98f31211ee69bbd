"""The paper's Algorithm 1 collapses on a real detector: the default hooks see it."""

import json
import re

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from slf_mmdet.losses.yolov1 import PARTS

from ..helpers import DIGITS_SLF

PAPER = dict(type='PaperSLFBalancer', start='uniform')
PATIENCE = 30


@pytest.fixture
def run(digits, tmp_path, monkeypatch):
    """Trains the small YOLO on 64 images in batches of 4; returns the runner and the guard's warnings."""
    monkeypatch.chdir(digits)

    def train(balancer, policy, epochs=7):
        cfg = Config.fromfile(DIGITS_SLF)
        for split in ('train', 'val', 'test'):
            cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        cfg.merge_from_dict(
            dict(
                train_dataloader=dict(batch_size=4),
                train_cfg=dict(max_epochs=epochs, val_interval=epochs + 1),
                default_hooks=dict(logger=dict(interval=8), checkpoint=dict(save_last=False)),
                randomness=dict(seed=0),
                work_dir=str(tmp_path),
                experiment_name=f'{tmp_path.parent.name}_{tmp_path.name}',
                visualizer=dict(name=f'{tmp_path.parent.name}_{tmp_path.name}'),
            )
        )
        cfg.model.bbox_head.loss_balancer = dict(balancer)
        cfg.default_hooks.collapse_guard.update(patience=PATIENCE, policy=policy)
        runner = Runner.from_cfg(cfg)
        runner.train()
        (log,) = tmp_path.glob('*/*.log')
        return runner, re.findall(r'WARNING - (CollapseGuardHook: .*)', log.read_text())

    return train


def test_warn(run, tmp_path):
    runner, (text,) = run(PAPER, 'warn')
    first, last, collapsed, cause = re.fullmatch(
        r'CollapseGuardHook: in iterations (\d+) to (\d+) PaperSLFBalancer has collapsed loss weights: (.+); (.+)', text
    ).groups()
    assert int(last) - int(first) + 1 == PATIENCE and int(last) <= runner.iter
    names = set(collapsed.split(' (')[0].split(', '))  # which are first depends on the start network
    assert names and names <= {'coord', 'cls', 'noobj'}
    assert cause.split(' has ')[0] in set(PARTS) - names
    assert 'Algorithm 1' in cause and cause.endswith('SLFBalancer.')
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    end = [json.loads(line) for line in log.read_text().splitlines() if 'lr' in line][-1]
    assert end['share_obj'] > 0.99 and end['weights_entropy'] < 0.01
    assert end['weights_smallest_first'] >= 0.75  # of eight iterations; another part can be smaller for an instant
    assert end['raw_coord'] > end['raw_obj']  # the detector has given up on all else


def test_reset_gives_the_other_parts_another_start(run):
    runner, texts = run(PAPER, 'reset')
    assert texts and all(text.endswith('The decision network is back at its initial probabilities.') for text in texts)
    entropy = [float(value) for value in runner.message_hub.get_scalar('train/weights_entropy').data[0]]
    collapsed = next(i for i, value in enumerate(entropy) if value < 0.01)
    assert max(entropy[collapsed:]) > 0.3  # for some iterations: the cause is still there


def test_stop(run):
    runner, (text,) = run(PAPER, 'stop', epochs=20)
    assert text.endswith('The training stops.')
    assert runner.epoch < 12


def test_the_default_balancer_needs_no_warning(run):
    _, texts = run(dict(type='SLFBalancer'), 'warn')
    assert texts == []

"""The segmentation configs: their names and schedules, and short runs on a small set of digits."""

import json
import re

import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.runner import Runner

from slf_mmdet.datasets.digits_voc import build_digits_voc

from ..helpers import CONFIGS

PATHS = sorted((CONFIGS / 'segmentation').glob('*.py'))
SCHEDULED = 'unet_dice-boundary_1xb8-20e_small-digits-96px.py'
paths = pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    root = tmp_path_factory.mktemp('digits') / 'set'
    build_digits_voc(root, 16, 6, image_size=32, digit_size=(8, 12), max_digits=1, progress=False)
    return root / 'VOCdevkit/VOC2007'


def load(path, digits, **options):
    cfg = Config.fromfile(path)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        cfg[f'{split}_dataloader'].dataset.data_root = str(digits)
    cfg.merge_from_dict({'default_hooks.logger.interval': 1, 'randomness.seed': 0, 'env_cfg.cudnn_benchmark': False})
    cfg.merge_from_dict(options)
    return cfg


def train(path, work_dir, digits, **options):
    """Trains in this process; returns the runner and what each line of ``scalars.json`` holds."""
    name = f'{work_dir.parent.name}_{work_dir.name}_{len(list(work_dir.glob("*")))}'
    given = {'work_dir': str(work_dir), 'experiment_name': name, 'visualizer.name': name}
    runner = Runner.from_cfg(load(path, digits, **given, **options))
    runner.train()
    log = max(work_dir.glob('*/vis_data/scalars.json'), key=lambda found: found.stat().st_mtime_ns)
    return runner, [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]


@paths
def test_is_what_its_name_says(path):
    cfg = Config.fromfile(path)
    batch, epochs, side = map(int, re.search(r'_1xb(\d+)-(\d+)e_small-digits-(\d+)px', path.stem).groups())
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_cfg.max_epochs == epochs and cfg.param_scheduler[0].total_steps == epochs
    assert f'--image-size {side}' in (CONFIGS / f'_base_/datasets/small_digits_{side}.py').read_text()
    model = MODELS.build(cfg.model)
    assert set(model.losses) == set(re.search(r'unet_([\w-]+?)_', path.stem)[1].split('-'))
    balancer = type(getattr(model, 'loss_balancer', None)).__name__
    assert balancer == (
        'SLFBalancer' if path.stem.startswith('slf') else 'ScheduledBalancer' if 'bound' in path.stem else 'NoneType'
    )


def test_weights_are_those_of_the_authors_at_the_start_of_each_epoch():
    """.01 is taken from the region and given to the boundary: 320 images are 40 iterations."""
    cfg = Config.fromfile(CONFIGS / 'segmentation' / SCHEDULED)
    balancer = MODELS.build(cfg.model).loss_balancer
    per_epoch = 320 // cfg.train_dataloader.batch_size
    parts = dict(dice=torch.tensor(1.0), boundary=torch.tensor(1.0))
    for iteration in range(cfg.train_cfg.max_epochs * per_epoch):
        out = balancer(parts)
        epoch, rest = divmod(iteration, per_epoch)
        if rest == 0:
            assert out['loss_dice'].item() == pytest.approx(1 - 0.01 * epoch)
            assert out['loss_boundary'].item() == pytest.approx(0.01 + 0.01 * epoch)


def test_foreground_is_one_class(digits):
    for split in ('train', 'val'):
        dataset = DATASETS.build(load(PATHS[0], digits)[f'{split}_dataloader'].dataset)
        labels = torch.cat([sample['data_samples'].gt_sem_seg.sem_seg for sample in dataset])
        assert labels.shape == (dict(train=16, val=6)[split], 32, 32) and labels.unique().tolist() == [0, 1]


@paths
def test_learns(path, digits, tmp_path):
    options = {'train_cfg.max_epochs': 10, 'train_cfg.val_interval': 10, 'param_scheduler': None}
    options['default_hooks.checkpoint.interval'] = 10
    _, lines = train(path, tmp_path / 'run', digits, **options)
    dice = [line['loss_dice'] / line.get('balance_dice', 1) for line in lines if 'loss_dice' in line]
    assert len(dice) == 20 and dice[-1] < 0.95 * dice[0]
    assert 0 <= lines[-1]['seg/dice'] <= 100 and 0 <= lines[-1]['seg/hausdorff'] <= 32 * 2**0.5


def test_resumes_to_the_bit(digits, tmp_path):
    path = CONFIGS / 'segmentation' / f'slf_{SCHEDULED}'
    options = {'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2}
    whole, _ = train(path, tmp_path / 'whole', digits, **options)
    checkpoint = str(tmp_path / 'whole' / 'epoch_1.pth')
    resumed, _ = train(path, tmp_path / 'resumed', digits, **options, load_from=checkpoint, resume=True)
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)

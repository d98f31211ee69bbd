"""The super-resolution configs: their names, and short runs on images of digits, with networks of random weights."""

import re

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from slf_mmdet.datasets.digits_voc import DIGIT_CLASSES, build_digits_voc

from ..helpers import CONFIGS

pytest.importorskip('timm', reason="the metric's network needs timm: pip install 'slf-mmdet[cls]'")

PATHS = sorted((CONFIGS / 'super_resolution').glob('*.py'))
SQUEEZENET = dict(type='TorchVisionBackbone', model='squeezenet1_1')


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    return build_digits_voc(tmp_path_factory.mktemp('digits') / 'set', 8, 2, image_size=64, progress=False)


def load(path, digits, work_dir, **options):
    cfg = Config.fromfile(path)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        cfg[f'{split}_dataloader'].dataset.update(
            data_root=f'{digits}/VOCdevkit/', metainfo=dict(classes=DIGIT_CLASSES)
        )
    cfg.val_dataloader.dataset.indices = cfg.test_dataloader.dataset.indices = None
    cfg.train_dataloader.dataset.pipeline[1].crop_size = (32, 32)
    cfg.train_dataloader.batch_size = 4
    for loss in cfg.model.losses.values():
        if 'network' in loss:
            loss.network.weights = None
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.distances.efficientnet.network.weights = None
    name = f'{work_dir.parent.name}_{work_dir.name}'
    cfg.merge_from_dict({'work_dir': str(work_dir), 'experiment_name': name, 'visualizer.name': name, **options})
    cfg.merge_from_dict({'randomness.seed': 0, 'env_cfg.cudnn_benchmark': False, 'default_hooks.logger.interval': 1})
    return cfg


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_trains_and_leaves_pictures(path, digits, tmp_path):
    batch, epochs = map(int, re.search(r'_1xb(\d+)-(\d+)e_', path.stem).groups())
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[0].total_steps == epochs
    runner = Runner.from_cfg(
        load(path, digits, tmp_path / 'run', **{'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2})
    )
    runner.train()
    scalars = runner.message_hub.log_scalars
    parts = dict(l1=['pixel']).get(path.stem.split('_')[1]) or path.stem.split('_')[1].split('-')
    assert {f'train/loss_{part}' for part in parts} <= set(scalars)
    metrics = {key.rpartition('/')[2] for key in scalars if key.startswith('val/restoration/')}
    assert metrics == {'psnr', 'psnr_bicubic', 'efficientnet', 'efficientnet_bicubic'}
    assert scalars['val/restoration/psnr'].current() > 10
    pictures = sorted((tmp_path / 'run').glob('*/vis_data/vis_image/val_002_*.png'))
    assert len(pictures) == 2
    assert cv2.imread(str(pictures[0])).shape == (64, 3 * 64, 3)  # interpolated, restored, true


def test_resumes_to_the_bit(digits, tmp_path):
    path = next(path for path in PATHS if '_perceptual_' in path.name)
    options = {'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2}
    whole = Runner.from_cfg(load(path, digits, tmp_path / 'whole', **options))
    whole.train()
    checkpoint = str(tmp_path / 'whole' / 'epoch_1.pth')
    resumed = Runner.from_cfg(load(path, digits, tmp_path / 'resumed', **options, load_from=checkpoint, resume=True))
    resumed.train()
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)

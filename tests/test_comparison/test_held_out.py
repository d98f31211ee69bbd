"""Choices on training images that are held out."""

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config

from slf_mmdet.comparison.held_out import on_held_out

from ..helpers import DIGITS_SLF


@pytest.fixture
def cfg(digits, monkeypatch):
    monkeypatch.chdir(digits)
    return Config.fromfile(DIGITS_SLF)


def names(dataset_cfg):
    dataset = DATASETS.build(dataset_cfg)
    return {dataset.get_data_info(index)['img_id'] for index in range(len(dataset))}


def test_no_image_is_in_both_and_none_is_of_the_test(cfg):
    changed = on_held_out(cfg, 0.25)
    train, val, test = (changed[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test'))
    assert names(train) | names(val) == names(cfg.train_dataloader.dataset)
    assert not names(train) & names(val) and names(test) == names(val)
    assert len(names(val)) == round(0.25 * len(names(cfg.train_dataloader.dataset)))
    assert not names(val) & names(cfg.test_dataloader.dataset)


def test_pipelines_and_evaluator_stay(cfg):
    changed = on_held_out(cfg, 0.25)
    assert changed.val_dataloader.dataset.pipeline == cfg.val_dataloader.dataset.pipeline
    assert changed.train_dataloader.dataset.dataset == cfg.train_dataloader.dataset
    assert changed.test_evaluator == cfg.val_evaluator and changed.val_dataloader.batch_size == 32
    assert cfg.train_dataloader.dataset.type == 'CheckedVOCDataset'  # the config itself is not changed


@pytest.mark.parametrize('share', [0, 1, -0.1, 1.5])
def test_share(cfg, share):
    with pytest.raises(ValueError, match=rf'compare: --held-out must be in \(0, 1\), found {share}'):
        on_held_out(cfg, share)


def test_config_without_a_set_to_split(cfg):
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match='val_dataloader.dataset must be a data set with a pipeline'):
        on_held_out(cfg, 0.1)


def test_a_config_without_a_test(cfg):
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg.pop(key)
    changed = on_held_out(cfg, 0.25)
    assert changed.test_cfg == dict(type='TestLoop') and changed.test_dataloader == changed.val_dataloader

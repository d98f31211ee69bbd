"""Choices on training images that are held out."""

import pytest
import torch
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config

from slf_mmdet.comparison.held_out import on_held_out

from ..helpers import CONFIGS, DIGITS_SLF


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


def test_wrappers_stay_around_the_images_to_train_with(cfg):
    """A mosaic of the held-out images would show them in the training."""
    inner = dict(cfg.train_dataloader.dataset)
    mosaic = dict(type='mmdet.MultiImageMixDataset', dataset=inner, pipeline=[dict(type='Mosaic', img_scale=(64, 64))])
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=mosaic)
    changed = on_held_out(cfg, 0.25)
    train, val = (changed[f'{split}_dataloader'].dataset for split in ('train', 'val'))
    assert train.type == 'RepeatDataset' and train.dataset.type == 'mmdet.MultiImageMixDataset'
    assert not names(train.dataset.dataset) & names(val)
    assert len(names(train.dataset.dataset)) + len(names(val)) == len(names(inner))


def test_coco_metric_takes_the_ground_truth_of_the_held_out_images(digits, monkeypatch):
    monkeypatch.chdir(digits)
    cfg = Config.fromfile(CONFIGS / 'digits/mask-rcnn_r18-slim_fpn_1xb8-12e_digits-112px.py')
    changed = on_held_out(cfg, 0.25)
    dataset = DATASETS.build(changed.val_dataloader.dataset)
    metric = METRICS.build(changed.val_evaluator)
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        found = sample.gt_instances
        masks = torch.from_numpy(found.masks.to_ndarray()).bool()
        found = dict(bboxes=found.bboxes.tensor, labels=found.labels, scores=torch.ones(len(found)), masks=masks)
        metric.process(None, [dict(sample.to_dict(), pred_instances=found)])
    scores = metric.evaluate(len(dataset))
    assert scores['coco/bbox_mAP'] == 1 and scores['coco/segm_mAP'] > 0.9  # polygons become pixels
    assert cfg.val_evaluator.ann_file and 'instances' not in cfg.val_dataloader.dataset.pipeline[-1].meta_keys


def test_other_files_of_ground_truth_are_refused(cfg):
    cfg.val_evaluator = [dict(type='VOCMetric'), dict(type='LVISMetric', ann_file='lvis.json')]
    with pytest.raises(ValueError, match=r"val_evaluator must be CocoMetric .*--held-out.*\['LVISMetric'\]"):
        on_held_out(cfg, 0.25)

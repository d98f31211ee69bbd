"""A config that trains on a part of its training images and is evaluated on the rest: for choices of settings."""

import copy
from typing import Any

from mmdet.registry import DATASETS
from mmengine.config import Config

from ..datasets.held_out_split import SHARING
from ..utils.checks import is_share, require


def on_held_out(cfg: Config, share: float) -> Config:
    """Evaluates on training images that are held out, so that choices do not look at those of validation and test.

    Wrappers that repeat or mix images, such as mmdet's ``MultiImageMixDataset`` and ``RepeatDataset``, stay around the
    images to train with. mmdet's ``CocoMetric`` takes the ground truth from the images instead of its ``ann_file``.

    Args:
        cfg: a config with ``train_dataloader``, ``val_dataloader`` and their data sets.
        share: of the training images that are held out, in (0, 1).

    Returns:
        A copy whose validation and test are on the held-out images, with the pipeline and the evaluator of the
        validation.

    Raises:
        ValueError: ``share`` is out of its range, the config has no data set to split, or its evaluator reads a file
            of ground truth that cannot be replaced.
    """
    require(is_share(share), 'compare', '--held-out', 'in (0, 1)', share)
    cfg = copy.deepcopy(cfg)
    parent, inner = cfg.get('train_dataloader') or {}, (cfg.get('train_dataloader') or {}).get('dataset') or {}
    while 'dataset' in inner and _kind(inner) in SHARING:
        parent, inner = inner, inner['dataset']
    validation = (cfg.get('val_dataloader') or {}).get('dataset') or {}
    for key, found in (('train_dataloader', inner), ('val_dataloader', validation)):
        require('pipeline' in found, 'compare', f'{key}.dataset', 'a data set with a pipeline', found)
    _without_ann_file(cfg)
    split = dict(type='mmdet.HeldOutSplit', dataset=inner, share=float(share))
    parent['dataset'] = dict(split, part='train')
    cfg.val_dataloader.dataset = dict(split, part='held_out', pipeline=cfg.val_dataloader.dataset.pipeline)
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.test_evaluator = copy.deepcopy(cfg.val_evaluator)
    cfg.test_cfg = cfg.get('test_cfg') or dict(type='TestLoop')
    return cfg


def _kind(dataset_cfg: Any) -> Any:
    kind = dataset_cfg['type']
    return DATASETS.get(kind) if isinstance(kind, str) else kind


def _without_ann_file(cfg: Config) -> None:
    """The evaluator's file has other images: ``CocoMetric`` gets the ground truth with each image."""
    evaluators = cfg.get('val_evaluator') or []
    reading = [each for each in (evaluators if isinstance(evaluators, list) else [evaluators]) if each.get('ann_file')]
    if not reading:
        return
    packing = [step for step in cfg.val_dataloader.dataset.pipeline if str(step['type']).endswith('PackDetInputs')]
    right = len(packing) == 1 and all(str(each['type']).rpartition('.')[2] == 'CocoMetric' for each in reading)
    wanted = 'CocoMetric with a pipeline that ends with PackDetInputs, or one without ann_file such as VOCMetric'
    require(right, 'compare', 'val_evaluator', f'{wanted}, with --held-out', [each['type'] for each in reading])
    for each in reading:
        each['ann_file'] = None
    usual = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    packing[0]['meta_keys'] = (*packing[0].get('meta_keys', usual), 'instances')

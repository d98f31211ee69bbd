"""A config that trains on a part of its training images and is evaluated on the rest: for choices of settings."""

import copy

from mmengine.config import Config

from ..utils.checks import is_number, require


def on_held_out(cfg: Config, share: float) -> Config:
    """Evaluates on training images that are held out, so that choices do not look at those of validation and test.

    Args:
        cfg: a config with ``train_dataloader``, ``val_dataloader`` and their data sets.
        share: of the training images that are held out, in (0, 1).

    Returns:
        A copy whose validation and test are on the held-out images, with the pipeline and the evaluator of the
        validation.

    Raises:
        ValueError: ``share`` is out of its range, or the config has no data set to split.
    """
    require(is_number(share, 0, 1) and 0 < share < 1, 'compare', '--held-out', 'in (0, 1)', share)
    cfg = copy.deepcopy(cfg)
    for key in ('train_dataloader', 'val_dataloader'):
        found = (cfg.get(key) or {}).get('dataset') or {}
        require('pipeline' in found, 'compare', f'{key}.dataset', 'a data set with a pipeline', found)
    split = dict(type='mmdet.HeldOutSplit', dataset=cfg.train_dataloader.dataset, share=float(share))
    pipeline = cfg.val_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset = dict(split, part='train')
    cfg.val_dataloader.dataset = dict(split, part='held_out', pipeline=pipeline)
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.test_evaluator = copy.deepcopy(cfg.val_evaluator)
    cfg.test_cfg = cfg.get('test_cfg') or dict(type='TestLoop')
    return cfg

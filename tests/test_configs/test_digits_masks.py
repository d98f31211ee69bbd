"""Mask R-CNN on the masks of the digits, and the boundary of the masks as a part of its loss."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.runner import Runner

from slf_mmdet.datasets.digits_voc import build_digits_voc
from slf_mmdet.losses import BoundaryLoss

from ..helpers import CONFIGS

MASK_RCNN = CONFIGS / 'digits' / 'mask-rcnn_r18-slim_fpn_1xb8-12e_digits-112px.py'
BOUNDARY = CONFIGS / 'digits' / 'mask-rcnn_r18-slim_fpn_boundary_1xb8-12e_digits-112px.py'


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    return build_digits_voc(tmp_path_factory.mktemp('digits') / 'set', 8, 4, image_size=112, progress=False)


def test_it_is_the_faster_rcnn_beside_it_with_masks():
    faster = Config.fromfile(CONFIGS / 'digits' / 'faster-rcnn_r18-slim_fpn_1xb8-12e_digits-112px.py')
    masks = Config.fromfile(MASK_RCNN)
    for key in ('backbone', 'neck', 'rpn_head', 'test_cfg.rpn', 'train_cfg.rpn', 'train_cfg.rpn_proposal'):
        ours, theirs = masks.model, faster.model
        for name in key.split('.'):
            ours, theirs = ours[name], theirs[name]
        assert ours == theirs, key
    for key in ('bbox_head', 'bbox_roi_extractor'):
        assert masks.model.roi_head[key] == faster.model.roi_head[key]
    for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'auto_scale_lr'):
        assert masks[key] == faster[key]
    assert masks.train_dataloader.batch_size == faster.train_dataloader.batch_size


def test_trains_and_evaluates_boxes_and_masks(digits, tmp_path):
    cfg = Config.fromfile(BOUNDARY)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        cfg[f'{split}_dataloader'].dataset.data_root = str(digits)
    annotations = str(digits / 'annotations/instances_test.json')
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = annotations
    parts = ['loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask', 'loss_boundary']
    cfg.model.update(type='BalancedDetector', detector_type='MaskRCNN')
    cfg.model.loss_balancer = dict(type='StaticBalancer', parts=parts)
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path),
            'experiment_name': tmp_path.name,
            'visualizer.name': tmp_path.name,
            'train_cfg.max_epochs': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.logger.interval': 1,
            'randomness.seed': 0,
            'env_cfg.cudnn_benchmark': False,
        }
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert {'val/coco/bbox_mAP', 'val/coco/segm_mAP'} <= set(scalars)
    assert 0 < scalars['train/loss_boundary'].current() < 1
    assert scalars['train/balance_boundary'].current() == 1


def test_the_boundary_is_that_of_the_masks():
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(BOUNDARY).model)
    seen = []
    head = model.roi_head.mask_head
    head.loss_mask.register_forward_hook(lambda _, inputs, out: seen.append((*inputs, out)))
    data = demo_mm_inputs(2, [(3, 112, 112)] * 2, num_items=[3, 2], num_classes=10, with_mask=True)
    losses = model.train()(**model.data_preprocessor(data, training=True), mode='loss')
    ((pred, target, labels, of_region),) = seen
    assert losses['loss_mask'] is of_region
    expected = 0.01 * BoundaryLoss(use_mask=True)(pred, target, labels)
    torch.testing.assert_close(losses['loss_boundary'], expected)


def test_without_a_class_of_its_own_there_is_one_mask():
    cfg = Config.fromfile(BOUNDARY).model
    cfg.roi_head.mask_head.class_agnostic = True
    data = demo_mm_inputs(1, [(3, 112, 112)], num_items=[2], num_classes=10, with_mask=True)
    model = MODELS.build(cfg).train()
    assert model(**model.data_preprocessor(data, training=True), mode='loss')['loss_boundary'] > 0

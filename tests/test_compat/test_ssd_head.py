"""SSD predicts with mmdet 3.3."""

import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict


def test_ssd_head_predicts():
    anchors = dict(type='SSDAnchorGenerator', strides=[32], ratios=[[2]], min_sizes=[16], max_sizes=[32], input_size=64)
    head = MODELS.build(dict(type='SSDHead', num_classes=3, in_channels=(4,), anchor_generator=anchors))
    cfg = ConfigDict(nms_pre=10, nms=dict(type='nms', iou_threshold=0.5), score_thr=0.0, max_per_img=5)
    meta = dict(img_shape=(64, 64), scale_factor=(1.0, 1.0))
    outputs = head((torch.rand(1, 4, 2, 2),))
    (found,) = head.predict_by_feat(*outputs, batch_img_metas=[meta], cfg=cfg)
    assert 0 < len(found) <= 5

"""Focal loss as YOLO's class loss and as a candidate in RetinaNet: a few steps of training."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config

from ..helpers import CONFIGS

YOLO = CONFIGS / 'yolov1' / 'yolov1_nano_focal_1xb16-24e_digits-112px.py'
RETINANET = CONFIGS / 'digits' / 'retinanet_r18-slim_fpn_slf-cls_1xb8-12e_digits-112px.py'


def build(path):
    torch.manual_seed(0)
    return MODELS.build(Config.fromfile(path).model).train()


def batch(model):
    return model.data_preprocessor(
        demo_mm_inputs(2, [(3, 112, 112)] * 2, num_items=[3, 2], num_classes=10), training=True
    )


@pytest.mark.parametrize('path', [YOLO, RETINANET], ids=lambda path: path.stem)
def test_learns(path):
    model = build(path)
    data, optimizer, class_losses = batch(model), torch.optim.Adam(model.parameters(), 1e-3), []
    for _ in range(8):
        losses = model(**data, mode='loss')
        loss, logged = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        class_losses.append(logged['loss_cls'].item())
    assert class_losses[-1] < 0.9 * class_losses[0]


def test_scores_of_yolo_are_sigmoids():
    model = build(YOLO)
    raw = torch.tensor([-3.0, 0.0, 3.0])
    torch.testing.assert_close(model.bbox_head._class_scores(raw), raw.sigmoid())


def test_with_all_weight_on_focal_loss_it_is_retinanets_own(monkeypatch):
    mixed, plain = build(RETINANET), build(CONFIGS / 'digits' / 'retinanet_r18-slim_fpn_1xb8-12e_digits-112px.py')
    mixed.load_state_dict(plain.state_dict(), strict=False)
    monkeypatch.setattr(
        mixed.bbox_head.loss_cls, '_compute_weights', lambda losses, _: (torch.eye(3)[:1].expand_as(losses), None)
    )
    data = batch(plain)
    ours, theirs = (model(**data, mode='loss')['loss_cls'] for model in (mixed, plain))
    torch.testing.assert_close(torch.stack(ours), torch.stack(theirs))
    weights = mixed.bbox_head.loss_cls.mean_weights()
    assert list(weights) == ['FocalLoss', 'CrossEntropyLoss', 'ClassMSELoss'] and weights['FocalLoss'] == 1

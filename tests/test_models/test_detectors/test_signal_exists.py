"""Detectors of mmdet of which a detection quality can be measured, and those that say why not and what to take."""

import copy
import functools

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from slf_mmdet.models.detectors.predict_boxes import (
    NUM_PROPOSALS,
    boxes_only,
    evaluating,
    predict_boxes,
    record_features,
)
from slf_mmdet.models.detectors.quality import batch_average_precision, detection_quality
from slf_mmdet.models.detectors.random_batch import random_batch

from .tiny_detectors import WIDTH, build, mmdet_model, tiny_model, unbalanced

INSTEAD = r"signal=dict\(type='LossRate'\), or dict\(type='GradientAlignment', target='training_loss'\)"


def shrunk(cfg):
    cfg.backbone = dict(type='ResNet', depth=18, base_channels=8, out_indices=(0, 1, 2, 3))
    cfg.neck.update(in_channels=[8, 16, 32, 64], out_channels=WIDTH)
    return cfg


def roi_heads(cfg):
    roi = shrunk(cfg).roi_head
    cfg.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    cfg.test_cfg.rcnn.score_thr = 0.01
    for key in ('bbox_roi_extractor', 'mask_roi_extractor'):
        roi[key].out_channels = WIDTH
    for head in roi.bbox_head if isinstance(roi.bbox_head, list) else [roi.bbox_head]:
        head.update(in_channels=WIDTH, fc_out_channels=32)
    for head in roi.mask_head if isinstance(roi.mask_head, list) else [roi.mask_head]:
        head.update(in_channels=WIDTH, conv_out_channels=WIDTH, num_convs=1)
    return cfg


def solo():
    cfg = shrunk(mmdet_model('solo/solo_r50_fpn_1x_coco.py'))
    norm = dict(type='GN', num_groups=4)
    cfg.mask_head.update(in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=1, norm_cfg=norm)
    return cfg


def rpn():
    cfg = shrunk(mmdet_model('rpn/rpn_r50_fpn_1x_coco.py'))
    cfg.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    return cfg


def panoptic_fpn():
    cfg = roi_heads(mmdet_model('panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'))
    cfg.semantic_head.update(in_channels=WIDTH, inner_channels=WIDTH, norm_cfg=dict(type='GN', num_groups=4))
    return cfg


def centernet():
    cfg = mmdet_model('centernet/centernet_r18_8xb16-crop512-140e_coco.py')
    cfg.backbone = dict(type='ResNet', depth=18, base_channels=8, out_indices=(3,))
    cfg.neck.update(in_channels=64, num_deconv_filters=(32, 16, 16))
    cfg.bbox_head.update(in_channels=16, feat_channels=16)
    return cfg


def htc():
    return roi_heads(mmdet_model('htc/htc-without-semantic_r50_fpn_1x_coco.py'))


def mask2former():
    return mmdet_model('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')


def fast_rcnn():
    cfg = unbalanced(tiny_model('faster_rcnn'))
    cfg.pop('rpn_head')
    train_cfg, test_cfg = ({'rcnn': each.rcnn} for each in (cfg.train_cfg, cfg.test_cfg))
    return ConfigDict(cfg, type='FastRCNN', train_cfg=train_cfg, test_cfg=test_cfg)


WORKING = dict(fast_rcnn=fast_rcnn, rpn=rpn, panoptic_fpn=panoptic_fpn, centernet=centernet, htc=htc)


def balanced(cfg, **signal):
    balancer = dict(type='SLFBalancer', signal=dict(interval=1, **signal))
    if cfg['type'] == 'FastRCNN':  # without proposals its losses are not found
        balancer['parts'] = ['loss_cls', 'loss_bbox']
    torch.manual_seed(0)
    model = MODELS.build(dict(type='BalancedDetector', detector=cfg, loss_balancer=balancer))
    model.init_weights()
    return model.train()


def two_images(label=3):
    torch.manual_seed(0)
    inputs, samples = random_batch(128, True)
    for sample in samples:
        sample.gt_instances.labels[:] = label
    return inputs, samples


@pytest.mark.parametrize('name', WORKING)
def test_it_is_measured(name):
    model = balanced(WORKING[name](), type='DeltaAP')
    inputs, samples = two_images()
    if name == 'fast_rcnn':
        for sample in samples:
            sample.proposals = InstanceData(bboxes=torch.tensor([[20.0, 20, 90, 90], [0, 0, 60, 60]]))
    before = copy.deepcopy(samples)
    for _ in range(2):
        losses = model(inputs, copy.deepcopy(samples), mode='loss')
        model.parse_losses(losses)[0].backward()
    assert model.loss_balancer.signal.turn.turns.value == 2
    assert [set(sample.keys()) for sample in samples] == [set(sample.keys()) for sample in before]


def test_proposals_count_whatever_the_class_of_the_object():
    detector = build(rpn())
    inputs, samples = two_images(label=3)
    with torch.no_grad():
        features = detector.extract_feat(inputs)
        with evaluating(detector):
            found = detector.bbox_head.predict(features, copy.deepcopy(samples), rescale=False)
    values = []
    for label in (0, 3):
        for sample, proposals in zip(samples, found):
            sample.gt_instances.bboxes = proposals.bboxes[:1].clone()  # the best one is right
            sample.gt_instances.labels[:] = label
        with torch.no_grad():
            values.append(batch_average_precision(detector, features, inputs, samples).item())
    assert values[0] == values[1] > 0


@pytest.mark.parametrize('kind', ['DeltaAP', 'GradientAlignment'])
def test_masks_without_boxes_are_refused_in_the_first_step(kind):
    """Before anything is detected: an untrained SOLO detects nothing."""
    model = balanced(solo(), type=kind)
    with pytest.raises(ValueError, match=f'BalancedSOLO predicts masks without boxes: .*{INSTEAD}'):
        model(*two_images(), mode='loss')


def test_a_detector_that_cannot_predict_is_refused_with_its_own_error(monkeypatch):
    model = balanced(unbalanced(tiny_model('retinanet')), type='DeltaAP')
    monkeypatch.setattr(model.bbox_head, 'predict', lambda *args, **kwargs: [{}['border']])
    with pytest.raises(ValueError, match=rf"RetinaNet does not predict boxes .*\(KeyError: 'border'\).*{INSTEAD}"):
        model(*two_images(), mode='loss')


def test_features_that_are_no_tensors_are_refused(monkeypatch):
    model = balanced(unbalanced(tiny_model('retinanet')), type='DeltaAP')
    inputs, samples = two_images()
    features = [*model.extract_feat(inputs), 'text']
    with pytest.raises(ValueError, match=f'BalancedRetinaNet.extract_feat does not return one tensor .*{INSTEAD}'):
        detection_quality(model, [features], inputs, samples)


@pytest.mark.parametrize('name', ['htc', 'panoptic_fpn'])
def test_boxes_are_those_of_a_prediction_with_masks(name):
    cfg = WORKING[name]()
    cfg.test_cfg.rpn.max_per_img = NUM_PROPOSALS
    detector = build(cfg)
    inputs, samples = two_images()
    called = []
    predict_mask = detector.roi_head.predict_mask

    @functools.wraps(predict_mask)
    def counted(*args, **kwargs):
        called.append(1)
        return predict_mask(*args, **kwargs)

    detector.roi_head.predict_mask = counted
    with torch.no_grad(), record_features(detector) as features, evaluating(detector):
        found = detector.roi_head.predict(
            detector.extract_feat(inputs),
            detector.rpn_head.predict(detector.extract_feat(inputs), samples, rescale=False),
            samples,
            rescale=False,
        )
    assert called and all('masks' in each for each in found)
    with torch.no_grad():
        ours = predict_boxes(detector, features[0], inputs, samples)
    assert len(called) == 1 and sum(map(len, ours)) > 0
    for mine, theirs in zip(ours, found):
        assert (
            'masks' not in mine and torch.equal(mine.bboxes, theirs.bboxes) and torch.equal(mine.scores, theirs.scores)
        )


def test_few_proposals_are_enough(monkeypatch):
    detector = build(unbalanced(tiny_model('faster_rcnn')))
    detector.rpn_head.test_cfg.max_per_img = 1000
    detector.rpn_head.test_cfg.nms.iou_threshold = 1.0
    inputs, samples = two_images()
    seen = []
    predict = detector.roi_head.predict
    monkeypatch.setattr(
        detector.roi_head, 'predict', lambda x, found, *rest, **k: seen.append(found) or predict(x, found, *rest, **k)
    )
    with torch.no_grad():
        predict_boxes(detector, detector.extract_feat(inputs), inputs, samples)
    assert [len(proposals) for proposals in seen[0]] == [NUM_PROPOSALS] * 2
    assert detector.rpn_head.test_cfg.max_per_img == 1000


def test_nothing_is_left_of_the_heads_without_masks():
    detector = build(htc())
    with boxes_only(detector):
        assert 'predict_mask' in vars(detector.roi_head)
    assert 'predict_mask' not in vars(detector.roi_head)

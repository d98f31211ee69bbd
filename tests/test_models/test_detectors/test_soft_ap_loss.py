"""Average precision as one more part of the loss: ``loss_ap`` of ``BalancedDetector`` and ``YOLOV1Head``."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.logging import MessageHub

from slf_mmdet.losses import SoftAPLoss
from slf_mmdet.models.detectors.predict_boxes import record_features
from slf_mmdet.models.detectors.quality import batch_average_precision

from ...helpers import needs_torch
from .small_yolov1 import batch as yolov1_batch
from .small_yolov1 import build_detector
from .test_signal_exists import solo
from .tiny_detectors import batch, build, tiny_model, unbalanced

LOSS_AP = dict(type='SoftAPLoss', loss_weight=2.0, warmup=1)


def balanced(name, balancer, **settings):
    cfg = unbalanced(tiny_model(name))
    for part in (cfg.get('test_cfg') or {}, (cfg.get('test_cfg') or {}).get('rcnn') or {}):
        if 'score_thr' in part:
            part.score_thr = 0.0  # an untrained detector has no confident detection
    kind = cfg.pop('type')
    return build(dict(type='BalancedDetector', detector_type=kind, loss_balancer=balancer, **cfg, **settings))


@pytest.mark.parametrize('balancer', ['StaticBalancer', 'SLFBalancer'])
@pytest.mark.parametrize('name', ['retinanet', 'faster_rcnn'])
def test_of_any_detector_it_is_what_its_detections_lack(name, balancer, digits):
    detector = balanced(name, dict(type=balancer), loss_ap=LOSS_AP).train()
    inputs = detector.data_preprocessor(batch(digits), training=True)
    first = detector(**copy.deepcopy(inputs), mode='loss')
    assert first['loss_ap'] == 0 and not first['loss_ap'].requires_grad  # the warm-up
    with record_features(detector) as features:
        losses = detector(**copy.deepcopy(inputs), mode='loss')
    given = (detector, features[-1], inputs['inputs'], inputs['data_samples'])
    expected = batch_average_precision(*given, fixed_proposals=True)
    torch.testing.assert_close(expected, batch_average_precision(*given))  # the value is the same
    torch.testing.assert_close(losses['loss_ap'], 2 * (1 - expected))
    assert {'loss_ap', 'balance_cls'} <= losses.keys() and 'balance_ap' not in losses

    weight = next(p for key, p in detector.named_parameters() if key.startswith('backbone') and p.requires_grad)
    (ours,) = torch.autograd.grad(losses['loss_ap'], weight, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected, weight)
    torch.testing.assert_close(ours, -2 * theirs)
    assert ours.abs().sum() > 0
    if name == 'faster_rcnn':  # as in a training step, the heads do not move the boxes that the RPN proposes
        of_rpn = [p for key, p in detector.named_parameters() if key.startswith('rpn_head')]
        moved = torch.autograd.grad(losses['loss_ap'], of_rpn, retain_graph=True, allow_unused=True)
        assert all(gradient is None or not gradient.any() for gradient in moved)
    total, logged = detector.parse_losses(losses)  # it counts as the others
    others = [value for key, value in logged.items() if 'loss' in key and key not in ('loss', 'loss_ap')]
    torch.testing.assert_close(total, sum(others) + losses['loss_ap'])


def test_of_yolov1_it_is_what_its_detections_lack():
    plain = build_detector().train()
    with_ap = build_detector().train()
    with_ap.bbox_head.loss_ap = MODELS.build(dict(LOSS_AP, warmup=0))
    with_ap.load_state_dict(plain.state_dict(), strict=False)
    data = plain.data_preprocessor(yolov1_batch(), training=True)
    torch.manual_seed(0)
    theirs = plain(**copy.deepcopy(data), mode='loss')
    torch.manual_seed(0)
    ours = with_ap(**copy.deepcopy(data), mode='loss')
    loss = ours.pop('loss_ap')
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)
    torch.manual_seed(0)
    quality = with_ap.bbox_head.quality(with_ap.extract_feat(data['inputs']), data['data_samples'])
    torch.testing.assert_close(loss, 2 * (1 - quality))
    (gradient,) = torch.autograd.grad(loss, next(with_ap.backbone.parameters()))
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


COCO_THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def test_several_thresholds_are_the_mean_over_them(digits):
    thresholds = dict(LOSS_AP, warmup=0, iou_thr=COCO_THRESHOLDS)
    detector = balanced('retinanet', dict(type='StaticBalancer'), loss_ap=thresholds).train()
    inputs = detector.data_preprocessor(batch(digits), training=True)
    with record_features(detector) as features:
        losses = detector(**copy.deepcopy(inputs), mode='loss')
    given = (detector, features[-1], inputs['inputs'], inputs['data_samples'])
    single = [batch_average_precision(*given, iou_thr=threshold) for threshold in COCO_THRESHOLDS]
    assert len(set(single)) == len(single)
    torch.testing.assert_close(losses['loss_ap'], 2 * (1 - sum(single) / 10))


@pytest.mark.parametrize(
    'name', ['retinanet', pytest.param('faster_rcnn', marks=needs_torch('2.2', 'RoIAlign in bfloat16 on the CPU'))]
)
def test_in_mixed_precision(name, digits):
    settings = dict(loss_ap=dict(LOSS_AP, warmup=0))
    detector = balanced(name, dict(type='StaticBalancer'), **settings).train()
    inputs = detector.data_preprocessor(batch(digits), training=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = detector(**inputs, mode='loss')['loss_ap']
    assert loss.dtype == torch.float32 and 0 < loss < 2
    weight = next(p for key, p in detector.named_parameters() if key.startswith('backbone') and p.requires_grad)
    (gradient,) = torch.autograd.grad(loss, weight)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


def test_several_thresholds_of_yolov1():
    def loss(iou_thr):
        detector = build_detector().train()
        detector.load_state_dict(weights)
        detector.bbox_head.loss_ap = SoftAPLoss(warmup=0, iou_thr=iou_thr)
        torch.manual_seed(0)
        return detector(**detector.data_preprocessor(yolov1_batch(), training=True), mode='loss')['loss_ap']

    weights = build_detector().state_dict()
    torch.testing.assert_close(loss([0.3, 0.6]), (loss(0.3) + loss(0.6)) / 2)
    assert loss(0.3) < loss(0.6)


def test_images_without_objects_give_no_gradient(digits):
    detector = balanced('retinanet', dict(type='StaticBalancer'), loss_ap=dict(LOSS_AP, warmup=0)).train()
    inputs = detector.data_preprocessor(batch(digits), training=True)
    for sample in inputs['data_samples']:
        sample.gt_instances = sample.gt_instances[:0]
    losses = detector(**inputs, mode='loss')
    assert losses['loss_ap'].item() == 2
    losses['loss_ap'].backward()
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]
    assert gradients and all((gradient == 0).all() for gradient in gradients)


def test_the_warmup_goes_on_after_a_checkpoint():
    like = torch.zeros(())
    first = SoftAPLoss(warmup=3)
    values = [first(lambda: torch.tensor(0.25), like).item() for _ in range(2)]
    resumed = SoftAPLoss(warmup=3)
    resumed.load_state_dict(first.state_dict())
    values += [resumed(lambda: torch.tensor(0.25), like).item() for _ in range(2)]
    assert values == [0, 0, 0, 0.75]
    resumed.eval()
    assert resumed(lambda: torch.tensor(0.5), like).item() == 0.5 and resumed.counter.value == 4


def test_a_warmup_that_is_a_share_of_the_training(monkeypatch):
    like, loss = torch.zeros(()), SoftAPLoss(warmup=0.25)
    hub = MessageHub.get_current_instance()
    monkeypatch.delitem(hub.runtime_info, 'max_iters', raising=False)  # of a runner of a test before
    with pytest.raises(ValueError, match="warmup=0.25.*mmengine's Runner.*warmup=500"):
        SoftAPLoss(warmup=0.25)(lambda: torch.tensor(0.5), like)
    assert SoftAPLoss(warmup=0.25).eval()(lambda: torch.tensor(0.5), like) == 0.5  # the warm-up is one of training
    monkeypatch.setitem(hub.runtime_info, 'max_iters', 12)
    assert [loss(lambda: torch.tensor(0.5), like).item() for _ in range(5)] == [0, 0, 0, 0.5, 0.5]


def test_a_detector_whose_detections_cannot_be_measured_is_an_error_of_the_first_step(digits):
    cfg = solo()
    kind = cfg.pop('type')
    balancer = dict(type='StaticBalancer', parts=['loss_cls', 'loss_mask'])
    detector = build(dict(type='BalancedDetector', detector_type=kind, loss_balancer=balancer, loss_ap=LOSS_AP, **cfg))
    inputs = detector.train().data_preprocessor(batch(digits), training=True)
    with pytest.raises(ValueError, match='SOLO predicts masks without boxes.*Leave loss_ap out of the config'):
        detector(**inputs, mode='loss')


def test_settings():
    with pytest.raises(ValueError, match='SoftAPLoss.*loss_weight.*-1'):
        SoftAPLoss(loss_weight=-1)
    with pytest.raises(ValueError, match='SoftAPLoss.*warmup.*1.5'):
        SoftAPLoss(warmup=1.5)
    with pytest.raises(ValueError, match=r'SoftAPLoss.*iou_thr.*\[0.5, 1.5\]'):
        SoftAPLoss(iou_thr=[0.5, 1.5])
    with pytest.raises(ValueError, match="no part can be named 'ap'"):
        balanced(
            'retinanet',
            dict(type='StaticBalancer', parts=dict(ap='loss_cls', box='loss_bbox')),
            loss_ap=dict(type='SoftAPLoss'),
        )

"""The differentiable measure of a detector's detections: of the batch's own features, and without a trace."""

import copy

import pytest
import torch
from mmdet.structures.bbox import get_box_tensor
from tiny_detectors import batch, build, tiny_model

from slf_mmdet.losses import soft_average_precision
from slf_mmdet.models.detectors.ranking import missed_precision, record_features

DETECTORS = ('retinanet', 'fcos', 'yolox', 'faster_rcnn', 'detr')


@pytest.fixture(scope='module')
def data(digits):
    return batch(digits)


def prepared(name, data):
    """A detector without a score threshold, since an untrained one has no confident detection, and its batch."""
    cfg = tiny_model(name).detector
    test_cfg = cfg.get('test_cfg') or {}
    for part in (test_cfg, test_cfg.get('rcnn') or {}):
        if 'score_thr' in part:
            part.score_thr = 0.0
    detector = build(cfg)
    return detector, detector.data_preprocessor(copy.deepcopy(data), training=True)


@pytest.mark.parametrize('name', DETECTORS)
def test_it_is_of_the_detections_and_leaves_no_trace(name, data):
    detector, inputs = prepared(name, data)
    with record_features(detector) as features:
        detector(**inputs, mode='loss')
    assert len(features) == 1
    state = copy.deepcopy(detector.state_dict())
    modes = {key: module.training for key, module in detector.named_modules()}

    value = missed_precision(detector, features, inputs['inputs'], inputs['data_samples'])
    neck = next(p for key, p in detector.named_parameters() if key.startswith(('neck', 'backbone')) and p.dim() > 1)
    (gradient,) = torch.autograd.grad(value, neck)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0

    assert all(torch.equal(state[key], now) for key, now in detector.state_dict().items())
    assert {key: module.training for key, module in detector.named_modules()} == modes
    assert 'extract_feat' not in vars(detector)
    assert not any('pred_instances' in sample for sample in inputs['data_samples'])

    detector.eval()
    detector.extract_feat = lambda inputs: features[0]
    found = [each.pred_instances for each in detector.predict(*inputs.values(), rescale=False)]
    objects = [sample.gt_instances for sample in inputs['data_samples']]
    flat = [torch.cat([getattr(some, key) for some in found]) for key in ('bboxes', 'scores', 'labels')] + [
        torch.cat([torch.full_like(some.labels, i) for i, some in enumerate(found)])
    ]
    truth = [torch.cat([get_box_tensor(each.bboxes) for each in objects])]
    truth += [torch.cat([each.labels for each in objects])]
    truth += [torch.cat([torch.full_like(each.labels, i) for i, each in enumerate(objects)])]
    assert value.item() == pytest.approx(1 - soft_average_precision(*flat, *truth).item(), abs=1e-4)


def test_a_step_along_it_raises_the_average_precision(data):
    """Descending it through the features raises mmdet's own mAP of the batch."""
    detector, inputs = prepared('retinanet', data)
    optimizer = torch.optim.Adam(detector.bbox_head.parameters(), lr=1e-3)
    values = []
    for _ in range(15):
        with torch.no_grad():
            features = detector.extract_feat(inputs['inputs'])
        value = missed_precision(detector, [features], inputs['inputs'], inputs['data_samples'])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]


def test_heldout_criterion_weighs_the_parts_of_a_detector(data):
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.update(objective=dict(type='heldout', reference='criterion', interval=1))
    cfg.detector.test_cfg.score_thr = 0.0
    model = build(cfg)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(3):
        total, _ = model.parse_losses(model(**inputs, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    tilts = model.loss_balancer.objective.tilts
    assert tilts.abs().min() > 0 and tilts.isfinite().all()

"""The differentiable measure of a detector's detections: of the batch's own features, and without a trace."""

import copy

import pytest
import torch
from mmdet.structures.bbox import get_box_tensor
from tiny_detectors import batch, build, tiny_model

from slf_mmdet.losses import soft_average_precision
from slf_mmdet.models.detectors.ranking import missed_precision, ranking_criterion, record_features

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

    value = missed_precision(detector, features[-1], inputs['inputs'], inputs['data_samples'])
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
        value = missed_precision(detector, features, inputs['inputs'], inputs['data_samples'])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]


@pytest.mark.parametrize('name', DETECTORS)
def test_a_solved_part_is_one_step_of_the_features_away(name, data):
    """Against a literal step of each level along the gradient of one loss, as long as takes it to 0 to first order."""
    detector, inputs = prepared(name, data)
    with record_features(detector) as features:
        losses = detector(**inputs, mode='loss')
    parts = [sum(value) if isinstance(value, list) else value for key, value in losses.items() if 'loss' in key][:2]
    rest = (inputs['inputs'], inputs['data_samples'])
    gains = ranking_criterion(detector, features, *rest).gains(torch.stack([part.mean() for part in parts]))

    levels = [features[0]] if torch.is_tensor(features[0]) else list(features[0])
    now = missed_precision(detector, features[0], *rest)
    for part, gain in zip(parts, gains):
        found = torch.autograd.grad(part.mean(), levels, retain_graph=True, allow_unused=True)
        steps = [torch.zeros_like(level) if step is None else step for level, step in zip(levels, found)]
        length = part.mean() / sum(step.square().sum() for step in steps)
        moved = tuple((level - length * step).detach() for level, step in zip(levels, steps))
        then = missed_precision(detector, moved[0] if torch.is_tensor(features[0]) else moved, *rest)
        assert gain.item() == pytest.approx((now - then).item(), abs=1e-4)


def test_a_loss_without_features_is_an_error_that_says_so(data):
    detector, inputs = prepared('retinanet', data)
    with pytest.raises(ValueError, match='RetinaNet does not call extract_feat in its loss'):
        ranking_criterion(detector, [], inputs['inputs'], inputs['data_samples'])()


def test_delta_ap_weighs_the_parts_of_a_detector(data):
    model = trained('retinanet', data, type='delta_ap', interval=1)
    assert model.loss_balancer.objective.gains.abs().max() > 0


def test_heldout_criterion_weighs_the_parts_of_a_detector(data):
    tilts = trained('retinanet', data, type='heldout', reference='criterion', interval=1).loss_balancer.objective.tilts
    assert tilts.abs().min() > 0 and tilts.isfinite().all()


@pytest.mark.parametrize('kind', ['heldout', 'delta_ap'])
def test_the_criterion_is_there_in_mixed_precision(kind, data):
    learnt = trained('retinanet', data, precision=torch.bfloat16, type=kind, interval=1).loss_balancer.objective
    found = learnt.tilts if kind == 'heldout' else learnt.gains
    assert found.isfinite().all() and found.abs().max() > 0


def trained(name, data, precision=None, **objective):
    """A balanced detector after three steps with an objective."""
    cfg = tiny_model(name)
    cfg.loss_balancer.update(objective=objective)
    cfg.detector.test_cfg.score_thr = 0.0
    model = build(cfg)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(3):
        with torch.autocast('cpu', dtype=precision, enabled=precision is not None):
            total, _ = model.parse_losses(model(**inputs, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return model

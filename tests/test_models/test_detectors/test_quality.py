"""The differentiable quality of a detector's detections: from the batch's own features, and without side effects."""

import copy
import inspect

import pytest
import torch
from mmdet.models.dense_heads import base_dense_head
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.utils import select_single_mlvl
from mmdet.structures.bbox import get_box_tensor

from slf_mmdet.losses import soft_average_precision
from slf_mmdet.models.detectors.predict_boxes import keeping_the_graph, record_features
from slf_mmdet.models.detectors.quality import batch_average_precision, detection_quality, quality_of

from .tiny_detectors import batch, build, tiny_model, unbalanced

DETECTORS = ('retinanet', 'fcos', 'yolox', 'faster_rcnn', 'detr')
DENSE = ('retinanet', 'fcos', 'ssd')  # their heads predict with mmdet's select_single_mlvl


@pytest.fixture(scope='module')
def data(digits):
    return batch(digits)


def prepared(name, data):
    """A detector without a score threshold, since an untrained one has no confident detection, and its batch."""
    cfg = unbalanced(tiny_model(name))
    test_cfg = cfg.get('test_cfg') or {}
    for part in (test_cfg, test_cfg.get('rcnn') or {}):
        if 'score_thr' in part:
            part.score_thr = 0.0
    detector = build(cfg)
    return detector, detector.data_preprocessor(copy.deepcopy(data), training=True)


def soft_ap_of(predictions, data_samples):
    """Soft average precision of predictions, ``InstanceData`` of each image."""
    objects = [sample.gt_instances for sample in data_samples]
    flat = [torch.cat([getattr(some, key) for some in predictions]) for key in ('bboxes', 'scores', 'labels')]
    flat += [torch.cat([torch.full_like(some.labels, i) for i, some in enumerate(predictions)])]
    truth = [torch.cat([get_box_tensor(each.bboxes) for each in objects])]
    truth += [torch.cat([each.labels for each in objects])]
    truth += [torch.cat([torch.full_like(each.labels, i) for i, each in enumerate(objects)])]
    return soft_average_precision(*flat, *truth).item()


def shared_weight(detector):
    """A weight of neck or backbone, which the detections depend on."""
    return next(p for key, p in detector.named_parameters() if key.startswith(('neck', 'backbone')) and p.dim() > 1)


@pytest.mark.parametrize('name', DETECTORS)
def test_it_is_that_of_the_detections_and_leaves_nothing_behind(name, data):
    detector, inputs = prepared(name, data)
    with record_features(detector) as features:
        detector(**inputs, mode='loss')
    assert len(features) == 1
    state = copy.deepcopy(detector.state_dict())
    modes = {key: module.training for key, module in detector.named_modules()}

    value = batch_average_precision(detector, features[-1], inputs['inputs'], inputs['data_samples'])
    (gradient,) = torch.autograd.grad(value, shared_weight(detector))
    assert gradient.isfinite().all() and gradient.abs().sum() > 0

    assert all(torch.equal(state[key], now) for key, now in detector.state_dict().items())
    assert {key: module.training for key, module in detector.named_modules()} == modes
    assert 'extract_feat' not in vars(detector)
    assert not any('pred_instances' in sample for sample in inputs['data_samples'])

    detector.eval()
    detector.extract_feat = lambda inputs: features[0]
    found = [each.pred_instances for each in detector.predict(*inputs.values(), rescale=False)]
    assert value.item() == pytest.approx(soft_ap_of(found, inputs['data_samples']), abs=1e-4)


@pytest.mark.parametrize('name', DETECTORS)
def test_that_of_another_batch_is_that_of_mmdets_predictions(name, data):
    """In evaluation mode from the images on, with a gradient that reaches the backbone."""
    detector, _ = prepared(name, data)
    detector.train()
    state = copy.deepcopy(detector.state_dict())
    value = quality_of(detector, copy.deepcopy(data))
    (gradient,) = torch.autograd.grad(value, shared_weight(detector))
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
    assert detector.training and all(torch.equal(state[key], now) for key, now in detector.state_dict().items())

    detector.eval()
    inputs = detector.data_preprocessor(copy.deepcopy(data), training=False)
    found = [each.pred_instances for each in detector.predict(*inputs.values(), rescale=False)]
    assert value.item() == pytest.approx(soft_ap_of(found, inputs['data_samples']), abs=1e-4)


def test_ascending_it_raises_it(data):
    detector, inputs = prepared('retinanet', data)
    optimizer = torch.optim.Adam(detector.bbox_head.parameters(), lr=1e-3)
    values = []
    for _ in range(15):
        with torch.no_grad():
            features = detector.extract_feat(inputs['inputs'])
        value = batch_average_precision(detector, features, inputs['inputs'], inputs['data_samples'])
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] > values[0]


@pytest.mark.parametrize('name', DETECTORS)
def test_a_solved_part_is_one_step_of_the_features_away(name, data):
    """Against a literal step of each level along the gradient of one loss, as long as takes it to 0 to first order."""
    detector, inputs = prepared(name, data)
    with record_features(detector) as features:
        losses = detector(**inputs, mode='loss')
    parts = [sum(value) if isinstance(value, list) else value for key, value in losses.items() if 'loss' in key][:2]
    rest = (inputs['inputs'], inputs['data_samples'])
    quality = detection_quality(detector, features, *rest)
    gains = quality.gains([part.mean() for part in parts])

    levels = [features[0]] if torch.is_tensor(features[0]) else list(features[0])
    now = batch_average_precision(detector, features[0], *rest)
    assert quality.value().item() == pytest.approx(now.item())
    for part, gain in zip(parts, gains):
        found = torch.autograd.grad(part.mean(), levels, retain_graph=True, allow_unused=True)
        steps = [torch.zeros_like(level) if step is None else step for level, step in zip(levels, found)]
        length = part.mean() / sum(step.square().sum() for step in steps)
        moved = tuple((level - length * step).detach() for level, step in zip(levels, steps))
        then = batch_average_precision(detector, moved[0] if torch.is_tensor(features[0]) else moved, *rest)
        assert gain.item() == pytest.approx((then - now).item(), abs=1e-4)


def test_a_loss_without_features_is_an_error_that_says_so(data):
    detector, inputs = prepared('retinanet', data)
    wanted = (
        r"RetinaNet does not call extract_feat in its loss: .*signal=dict\(type='LossRate'\), or "
        r"dict\(type='GradientAlignment', target='training_loss'\)"
    )
    with pytest.raises(ValueError, match=wanted):
        detection_quality(detector, [], inputs['inputs'], inputs['data_samples'])


# What keeping_the_graph relies on in mmdet ----------------------------------------------------------------------------


def test_mmdets_helper_takes_what_the_patch_gives_it():
    """If this fails, mmdet has changed: ``keeping_the_graph`` must follow."""
    first, image, detach = inspect.signature(select_single_mlvl).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert image.name == 'batch_id' and image.default is image.empty
    assert detach.name == 'detach' and detach.default is True
    levels = [torch.arange(2.0, requires_grad=True).view(2, 1, 1, 1) for _ in range(2)]
    assert not any(level.requires_grad for level in select_single_mlvl(levels, 1))
    attached = select_single_mlvl(levels, 1, detach=False)
    assert [level.item() for level in attached] == [1, 1] and all(level.requires_grad for level in attached)


@pytest.mark.parametrize('name', DENSE)
def test_dense_heads_predict_with_mmdets_helper(name):
    """If this fails, mmdet has changed: ``keeping_the_graph`` replaces what no head calls."""
    head = build(unbalanced(tiny_model(name))).bbox_head
    assert type(head).predict_by_feat is BaseDenseHead.predict_by_feat
    assert 'select_single_mlvl(' in inspect.getsource(BaseDenseHead.predict_by_feat)
    assert base_dense_head.select_single_mlvl is select_single_mlvl


@pytest.mark.parametrize('name', DENSE)
def test_only_with_the_patch_a_gradient_reaches_the_input_of_the_head(name, data):
    detector, inputs = prepared(name, data)
    detector.eval()
    for sample in inputs['data_samples']:
        sample.set_metainfo(dict(scale_factor=(1.0, 1.0)))
    features = tuple(level.detach().requires_grad_() for level in detector.extract_feat(inputs['inputs']))

    def scores():
        found = detector.bbox_head.predict(features, inputs['data_samples'], rescale=False)
        return torch.cat([each.scores for each in found])

    without = scores()
    with keeping_the_graph(detector):
        assert base_dense_head.select_single_mlvl is not select_single_mlvl
        kept = scores()
    assert base_dense_head.select_single_mlvl is select_single_mlvl
    assert len(without) and not without.requires_grad
    assert torch.equal(kept.detach(), without)
    gradients = torch.autograd.grad(kept.sum(), features, allow_unused=True)
    assert sum(found.abs().sum() for found in gradients if found is not None) > 0


def test_mmdets_helper_is_replaced_only_where_gradients_are_enabled(data):
    """Gains are measured without: then mmdet is as it was also while it predicts."""
    detector, inputs = prepared('retinanet', data)
    with record_features(detector) as features:
        losses = detector(**inputs, mode='loss')
    quality = detection_quality(detector, features, inputs['inputs'], inputs['data_samples'])
    predict, original = detector.predict, []

    def watched(*args, **kwargs):
        original.append(base_dense_head.select_single_mlvl is select_single_mlvl)
        return predict(*args, **kwargs)

    detector.predict = watched
    quality.gains([sum(losses['loss_cls']), sum(losses['loss_bbox'])])
    assert original == [True]  # as they are and with either part solved, at once
    quality.value()
    assert original == [True, False]


# The signals that ask for it ------------------------------------------------------------------------------------------


def test_delta_ap_weighs_the_parts_of_a_detector(data):
    assert trained('retinanet', data, type='DeltaAP', interval=1).gains.mean.abs().max() > 0


def test_gradient_alignment_weighs_the_parts_of_a_detector(data):
    found = trained('retinanet', data, type='GradientAlignment', interval=1).alignment.mean
    assert found.abs().min() > 0 and found.isfinite().all()


@pytest.mark.parametrize('kind', ['GradientAlignment', 'DeltaAP'])
def test_the_quality_is_there_in_mixed_precision(kind, data):
    signal = trained('retinanet', data, precision=torch.bfloat16, type=kind, interval=1)
    found = (signal.alignment if kind == 'GradientAlignment' else signal.gains).mean
    assert found.isfinite().all() and found.abs().max() > 0


def trained(name, data, precision=None, **signal):
    """The signal of a balanced detector after three steps."""
    cfg = tiny_model(name)
    cfg.loss_balancer.update(signal=signal)
    cfg.test_cfg.score_thr = 0.0
    model = build(cfg)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(3):
        with torch.autocast('cpu', dtype=precision, enabled=precision is not None):
            total, _ = model.parse_losses(model(**inputs, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return model.loss_balancer.signal

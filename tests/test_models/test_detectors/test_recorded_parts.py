"""What ``slf-mmdet probe`` measures in a step of a detector, against autograd and the detection quality itself."""

import pytest
import torch

from slf_mmdet.models.detectors.balanced_detector import shared_weights
from slf_mmdet.probe import Recorder

from .small_yolov1 import batch as random_images
from .small_yolov1 import build_detector
from .test_signal_exists import solo
from .tiny_detectors import FILES, batch, build, tiny_model, unbalanced


def static(cfg):
    return dict(type='BalancedDetector', detector=cfg, loss_balancer=dict(type='StaticBalancer'))


def record(detector, data, batches=1, **settings):
    """The recorder after some training steps without an optimizer, and the losses of the last."""
    recorder = Recorder(**settings)
    recorder.active = True
    handle = detector.loss_balancer.register_forward_pre_hook(recorder, with_kwargs=True)
    for _ in range(batches):
        losses = detector(**detector.data_preprocessor(data, True), mode='loss')
    handle.remove()
    return recorder, losses


@pytest.mark.parametrize('name', sorted(FILES))
def test_families(name, digits):
    detector = build(static(unbalanced(tiny_model(name)))).train()
    recorder, losses = record(detector, batch(digits))
    parts = detector.loss_balancer.parts
    assert recorder.problems == {}
    for i, part in enumerate(parts):
        assert float(recorder.losses[0][i]) == pytest.approx(float(losses[f'loss_{part}']), rel=1e-5)
    found = [
        torch.cat(
            [
                torch.zeros_like(weight).flatten() if each is None else each.flatten()
                for each, weight in zip(
                    torch.autograd.grad(
                        losses[f'loss_{part}'], shared_weights(detector, None), retain_graph=True, allow_unused=True
                    ),
                    shared_weights(detector, None),
                )
            ]
        )
        for part in parts
    ]
    expected = torch.tensor([[float(a @ b) for b in found] for a in found])
    torch.testing.assert_close(recorder.gradients[0], expected, rtol=2e-3, atol=1e-5 * float(expected.abs().max()))
    assert recorder.precisions[0].shape == (1 + len(parts),)
    assert 0 < recorder.seconds[0] < recorder.spent


def test_detector_without_boxes(digits):
    recorder, _ = record(build(static(solo())).train(), batch(digits))
    assert set(recorder.problems) == {'quality'} and 'SOLO predicts masks without boxes' in recorder.problems['quality']
    assert recorder.precisions == [] and len(recorder.gradients) == 1


def test_yolo_is_measured_and_not_changed():
    detector = build_detector(loss_balancer=dict(type='StaticBalancer')).train()
    data = random_images()
    plain = detector(**detector.data_preprocessor(data, True), mode='loss')
    seen = {}

    def gains(balancer, args, kwargs):
        parts = [args[0][name] for name in balancer.parts]
        seen['gains'] = kwargs['detection_quality'].gains(parts, balancer.parts)

    detector.bbox_head.loss_balancer.register_forward_pre_hook(gains, with_kwargs=True)
    detector.loss_balancer = detector.bbox_head.loss_balancer
    recorder, losses = record(detector, data, batches=3, num_timed=2)
    assert all(torch.equal(losses[key], plain[key]) for key in plain)
    found = recorder.precisions[-1]
    torch.testing.assert_close(found[1:] - found[0], seen['gains'])
    assert (len(recorder.losses), len(recorder.seconds)) == (3, 2)


def test_inactive():
    detector = build_detector(loss_balancer=dict(type='StaticBalancer')).train()
    recorder = Recorder()
    detector.bbox_head.loss_balancer.register_forward_pre_hook(recorder, with_kwargs=True)
    detector(**detector.data_preprocessor(random_images(), True), mode='loss')
    assert recorder.losses == [] and recorder.spent == 0

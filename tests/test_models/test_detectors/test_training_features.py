"""What mmengine offers for training, with the balancer on: mixed precision, accumulation, clipping, SyncBN, compile.

``find_unused_parameters`` is in the tests of two processes, the EMA hook in those of the hooks.
"""

import copy

import pytest
import torch
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from ...helpers import needs_torch
from .small_yolov1 import batch, build_detector
from .tiny_detectors import build, tiny_model

FLOAT16 = pytest.param(torch.float16, marks=needs_torch('2.2', 'autocast to float16 on the CPU'))


def retinanet():
    cfg = tiny_model('retinanet')
    cfg.loss_balancer.signal = dict(type='TrainingLoss')  # costs something from the first iteration on
    return build(cfg)


DETECTORS = dict(yolov1=build_detector, retinanet=retinanet)
WITH_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')


@pytest.fixture(params=DETECTORS)
def detector(request):
    return DETECTORS[request.param]()


def optimizer(detector):
    return torch.optim.SGD(detector.parameters(), lr=1e-3)


def train(detector, wrapper, steps):
    """The parameters after each step, all finite."""
    states = []
    for step in range(steps):
        logs = detector.train_step(batch(2, seed=step), wrapper)
        assert all(torch.isfinite(value).all() for value in logs.values())
        states.append({key: value.detach().clone() for key, value in detector.named_parameters()})
    assert all(torch.isfinite(value).all() for value in states[-1].values())
    return states


def moved(before, after):
    return {key for key, value in after.items() if not torch.equal(value, before[key])}


def decides(keys):
    return any('decision_network' in key for key in keys)


@pytest.mark.parametrize('dtype', [torch.bfloat16, FLOAT16])
def test_autocast_on_cpu(detector, dtype):
    exact = copy.deepcopy(detector)
    inputs = detector.data_preprocessor(batch(2), training=True)
    with torch.autocast('cpu', dtype=dtype):
        losses = detector(**inputs, mode='loss')
    ours = {key: value for key, value in losses.items() if key.startswith('balance_')}
    assert ours and all(value.dtype == torch.float32 for value in ours.values())
    detector.parse_losses(losses)[0].backward()
    gradients = {key: value.grad for key, value in detector.named_parameters() if value.grad is not None}
    assert decides(gradients) and all(torch.isfinite(value).all() for value in gradients.values())
    total, wanted = (
        detector.parse_losses(each)[0].item() for each in (losses, exact(**copy.deepcopy(inputs), mode='loss'))
    )
    assert total == pytest.approx(wanted, rel=0.25)  # an IoU that rounds to 0 makes another box responsible


@WITH_GPU
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_amp_wrapper_on_gpu(detector, dtype):
    detector = detector.cuda()
    start = {key: value.detach().clone() for key, value in detector.named_parameters()}
    states = train(detector, AmpOptimWrapper(dtype=dtype, loss_scale='dynamic', optimizer=optimizer(detector)), 3)
    assert decides(moved(start, states[-1]))


def test_accumulation_steps_every_second_batch(detector):
    start = {key: value.detach().clone() for key, value in detector.named_parameters()}
    wrapper = OptimWrapper(optimizer(detector), accumulative_counts=2)
    wrapper.initialize_count_status(detector, 0, 4)
    states = [start, *train(detector, wrapper, 4)]
    assert [bool(moved(a, b)) for a, b in zip(states, states[1:])] == [False, True, False, True]
    assert decides(moved(states[0], states[2]))


def test_clipping_covers_detector_and_decision_network(detector):
    wrapper = OptimWrapper(optimizer(detector), clip_grad=dict(max_norm=0.5))
    norms = []
    step = wrapper.optimizer.step
    wrapper.optimizer.step = lambda: (norms.append(total_norm(detector)), step())
    train(detector, wrapper, 2)
    assert norms == pytest.approx([0.5, 0.5], rel=1e-3)


def total_norm(detector):
    return torch.stack([value.grad.norm() for value in detector.parameters() if value.grad is not None]).norm().item()


def test_sync_bn_reverts_to_bn_on_cpu(detector):
    before = copy.deepcopy(detector)
    synchronous = convert_sync_batchnorm(detector)
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in synchronous.modules())
    reverted = revert_sync_batchnorm(synchronous)
    first, second = (train(each, OptimWrapper(optimizer(each)), 1)[-1] for each in (before, reverted))
    assert not moved(first, second)


@WITH_GPU
def test_sync_bn_on_gpu(detector):
    detector = convert_sync_batchnorm(detector).cuda()
    start = {key: value.detach().clone() for key, value in detector.named_parameters()}
    assert decides(moved(start, train(detector, OptimWrapper(optimizer(detector)), 2)[-1]))


@needs_torch('2.6', 'torch.compiler.set_stance')
def test_compiled_train_step_is_the_ordinary_one():
    """Whatever the backend does, the balancer stays out of it: it would be compiled anew in each step."""
    plain, compiled = build_detector(), build_detector()
    wrappers = [OptimWrapper(optimizer(each)) for each in (plain, compiled)]
    torch._dynamo.reset()
    compiled_step = torch.compile(compiled.train_step, backend='eager')
    for step in range(3):
        ours = compiled_step(batch(2, seed=step), wrappers[1])
        theirs = plain.train_step(batch(2, seed=step), wrappers[0])
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=1e-4)
        if step:
            with torch.compiler.set_stance('fail_on_recompile'):
                compiled_step(batch(2, seed=step), wrappers[1])
            plain.train_step(batch(2, seed=step), wrappers[0])

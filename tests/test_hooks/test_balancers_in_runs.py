"""Balancers in runs of mmengine's runner: with the EMA hook, and with all of our hooks in a compiled step."""

import pytest
import torch
from mmengine.hooks import CheckpointHook, EMAHook

from slf_mmdet.hooks import NonFiniteGuardHook, RandomStateHook, SafeResumeHook

from ..helpers import needs_torch
from .tiny_run import TinyDetector, build_runner, image

SLF = dict(type='SLFBalancer', sampler=dict(type='MultipleGumbelSoftmax', num_samples=3))
IMAGES = [image(i) for i in range(8)]


def train(work_dir, *hooks, balancer=SLF, **settings):
    torch.manual_seed(0)
    runner = build_runner(work_dir, TinyDetector(balancer), IMAGES, *hooks, **settings)
    runner.train()
    return runner


@pytest.mark.parametrize('balancer', [SLF, dict(type='DWABalancer', interval=2), dict(type='FAMOBalancer')])
def test_ema_resumed_run_equals_uninterrupted(tmp_path, balancer):
    def hooks():
        return EMAHook(momentum=0.1), RandomStateHook(), SafeResumeHook(), CheckpointHook(interval=1)

    def saved():
        return torch.load(tmp_path / 'epoch_3.pth')

    train(tmp_path, *hooks(), balancer=balancer, max_epochs=3)
    uninterrupted = saved()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    train(tmp_path, *hooks(), balancer=balancer, max_epochs=3, resume=True)
    for kind in ('state_dict', 'ema_state_dict'):
        for key, value in saved()[kind].items():
            assert torch.equal(value, uninterrupted[kind][key]), (kind, key)


def test_ema_averages_the_decision_network_and_leaves_training_alone(tmp_path):
    with_ema = train(tmp_path / 'a', EMAHook(momentum=0.1), max_epochs=2)
    without = train(tmp_path / 'b', max_epochs=2)
    key = 'balancer.decision_network.output.bias'
    (ema,) = (hook for hook in with_ema.hooks if isinstance(hook, EMAHook))
    averaged = dict(ema.ema_model.module.named_parameters())[key]
    trained = without.model.state_dict()[key]
    states = [runner.model.state_dict() for runner in (with_ema, without)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert torch.isfinite(averaged).all() and not torch.equal(averaged, trained)


@needs_torch('2.2', 'a compiled step of mmengine')
def test_compiled_step_with_all_hooks(tmp_path):
    torch._dynamo.reset()
    hooks = [NonFiniteGuardHook('skip'), RandomStateHook(), SafeResumeHook()]
    compiled = train(tmp_path / 'a', *hooks, runner=dict(cfg=dict(compile=dict(backend='eager'))))
    plain = train(tmp_path / 'b', *[type(hook)() for hook in hooks])
    for key, value in plain.model.state_dict().items():
        torch.testing.assert_close(compiled.model.state_dict()[key], value, rtol=1e-4, atol=1e-5)

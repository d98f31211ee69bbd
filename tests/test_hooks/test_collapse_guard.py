"""A run in which the weights collapse, and what the guard does."""

import re

import pytest
import torch

from slf_mmdet.balancers import BalancerOutput, StaticBalancer
from slf_mmdet.hooks import CollapseGuardHook

PAPER = dict(type='PaperSLFBalancer', start='uniform')  # all weight moves to the smallest part, noobj
HELD = dict(type='SLFBalancer', signal=dict(type='TrainingLoss'), prior=dict(type='EqualWeights'))
SCALES = dict(coord=1.0, cls=1.0, obj=0.3, noobj=0.05)
BASE = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)
SGD = dict(optimizer=dict(type='SGD', lr=0.3, momentum=0.9), clip_grad=dict(max_norm=1.0))  # else it may diverge


def collapsing(make_runner, balanced, *hooks, epochs=1, iters=400):
    torch.manual_seed(0)
    model = balanced(dict(PAPER, base_weights=BASE), SCALES)
    runner = make_runner(
        model, *hooks, epochs=epochs, iters_per_epoch=iters, log_interval=100, optim_wrapper=dict(SGD), checkpoint=None
    )
    runner.train()
    return runner


def warnings_of(tmp_path):
    (log,) = tmp_path.glob('*/*.log')
    return re.findall(r'WARNING - (CollapseGuardHook: .*)', log.read_text())


def test_warns_once_with_parts_iterations_cause_and_remedy(make_runner, balanced, tmp_path):
    runner = collapsing(make_runner, balanced, CollapseGuardHook(patience=100))
    (text,) = warnings_of(tmp_path)
    assert re.search(r'in iterations \d+01 to \d+00 PaperSLFBalancer has collapsed loss weights:', text)
    collapsed, most = text.split('; ', 1)
    assert 'weights: coord, cls, obj (' in collapsed and most.startswith('noobj has')
    assert text.endswith(runner.model.balancer.collapse_advice())
    assert runner.iter == 400


class Own(StaticBalancer):
    """Gives all weight to one part, and says what a user should change."""

    def compute_weights(self, step):
        return BalancerOutput(torch.tensor([0.0, 0.0, 0.0, 7.5]))

    def collapse_advice(self):
        return 'Set Own.greed to 0.'


def test_the_advice_is_that_of_the_balancer(make_runner, balanced, tmp_path):
    make_runner(balanced(dict(type=Own, base_weights=BASE), SCALES), CollapseGuardHook(patience=4)).train()
    (text,) = warnings_of(tmp_path)
    assert text.endswith('Set Own.greed to 0.')


@pytest.mark.parametrize('settings', [dict(kl_weight=20.0), dict(kl_weight=0.0, prior_share=0.1)])
def test_silent_with_a_prior(make_runner, balanced, tmp_path, settings):
    """With the parts of the run in which Algorithm 1 collapses, at a rate at which equal weights do not diverge."""
    torch.manual_seed(0)
    model = balanced(dict(HELD, **settings, base_weights=BASE), SCALES)
    slower = dict(optimizer=dict(SGD['optimizer'], lr=0.03))
    make_runner(model, CollapseGuardHook(patience=100), iters_per_epoch=400, optim_wrapper=slower).train()
    assert warnings_of(tmp_path) == []
    assert model.balancer.last.weighted.isfinite().all()
    shares = model.balancer.mean_weights(model.balancer.decision_network(torch.rand(8, 4))).mean(0) / 7.5
    assert shares.argmax() == 3 and shares.min() > 0.02  # noobj, the smallest part


def test_silent_for_a_method_that_weighs_by_value(make_runner, balanced, tmp_path):
    # GLS gives each part the same share of the objective, so a part 10,000 times larger has next to no weight
    model = balanced(dict(type='GLSBalancer', base_weights=dict(a=1.0, b=1.0)), dict(a=1e4, b=1.0))
    make_runner(model, CollapseGuardHook(patience=4)).train()
    relative = model.balancer.last.weights / model.balancer.last.weights.sum()
    assert relative[0] < 0.01
    assert warnings_of(tmp_path) == []


def test_reset_puts_the_decision_network_back_and_clears_its_optimizer_state(make_runner, balanced, tmp_path):
    torch.manual_seed(0)
    model = balanced(dict(PAPER, base_weights=BASE), SCALES)
    runner = make_runner(
        model, CollapseGuardHook(patience=100, policy='reset'), iters_per_epoch=400, optim_wrapper=dict(SGD)
    )
    seen = []

    hook = next(hook for hook in runner.hooks if isinstance(hook, CollapseGuardHook))
    judge = hook._judge

    def judge_and_look(*args):
        judge(*args)
        network = model.balancer.decision_network
        state = runner.optim_wrapper.optimizer.state
        probabilities = network(torch.rand(3, 4)).exp()
        seen.append((probabilities, [p in state for p in network.parameters()], model.layer.weight in state))

    hook._judge = judge_and_look
    runner.train()
    texts = warnings_of(tmp_path)
    assert texts and all('back at its initial probabilities' in text for text in texts)
    assert len(seen) == 4
    was_reset = [not any(kept) for _, kept, _ in seen]
    assert sum(was_reset) == len(texts)
    for (probabilities, _, others_kept), reset in zip(seen, was_reset):
        assert others_kept
        assert torch.allclose(probabilities, torch.full((3, 4), 0.25)) == reset


def test_stop_ends_the_run_after_the_epoch_with_a_checkpoint(make_runner, balanced, tmp_path):
    torch.manual_seed(0)
    model = balanced(dict(PAPER, base_weights=BASE), SCALES)
    guard = CollapseGuardHook(patience=100, policy='stop')
    runner = make_runner(model, guard, epochs=20, iters_per_epoch=100, log_interval=100, optim_wrapper=dict(SGD))
    runner.train()
    assert 1 <= runner.epoch < 20
    assert (tmp_path / f'epoch_{runner.epoch}.pth').is_file()
    (text,) = warnings_of(tmp_path)
    assert text.endswith('The training stops.')


@pytest.mark.parametrize('name', ['StaticBalancer', 'FAMOBalancer', 'GraPBalancer'])
def test_reset_needs_a_balancer_that_can_be_reset(make_runner, balanced, name):
    model = balanced(dict(type=name, base_weights=BASE), SCALES)
    runner = make_runner(model, CollapseGuardHook(policy='reset'))
    with pytest.raises(ValueError, match=f"SLFBalancer; found {name}. Use policy='warn' or 'stop'"):
        runner.train()


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(share=0), r'share must be in \(0, 1\), found 0'),
        (dict(share=2), r'share must be in \(0, 1\), found 2'),
        (dict(patience=0), 'patience must be an integer >= 1.*found 0'),
        (dict(policy='shout'), r"policy must be one of \['warn', 'reset', 'stop'\], found 'shout'"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        CollapseGuardHook(**wrong)


@pytest.mark.parametrize('policy', ['warn', 'reset'])
def test_a_resumed_run_is_checked_as_an_uninterrupted_one(make_runner, balanced, tmp_path, policy):
    """Interrupted amid a window: it ends with the iteration at which it would have ended."""

    def run(folder, epochs, resume=False):
        torch.manual_seed(0)
        model = balanced(dict(PAPER, base_weights=BASE), SCALES)
        runner = make_runner(
            model,
            CollapseGuardHook(patience=100, policy=policy),
            work_dir=folder,
            epochs=epochs,
            iters_per_epoch=150,
            optim_wrapper=dict(SGD),
            resume=resume,
        )
        runner.train()
        return re.findall(
            r'CollapseGuardHook: (in iterations \d+ to \d+)',
            ''.join(path.read_text() for path in sorted(folder.glob('*/*.log'))),
        )

    whole = run(tmp_path / 'whole', 3)
    run(tmp_path / 'parts', 1)
    assert run(tmp_path / 'parts', 3, resume=True) == whole and whole

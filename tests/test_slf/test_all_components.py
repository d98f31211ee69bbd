"""What holds for every registered signal, sampler and prior, in an SLFBalancer of which it is a part."""

import copy
import io

import pytest
import torch
from mmdet.registry import TASK_UTILS
from torch import nn

from slf_mmdet.balancers import Step
from slf_mmdet.slf import Prior, Sampler, Signal
from slf_mmdet.utils.config import registered, settings_of

from ..helpers import needs_torch
from ..test_balancers.registry import BASE, PARTS, balance, build, objective, offered, random_inputs, weights_of

FLOAT16 = pytest.param(torch.float16, marks=needs_torch('2.2', 'autocast to float16 on the CPU'))

KINDS = dict(signal=Signal, sampler=Sampler, prior=Prior)
# Short phases, so that the few steps of a test reach all of them; and arguments without a default.
SETTINGS = {
    'DeltaAP': dict(interval=2),
    'GradientAlignment': dict(interval=2),
    'ValidationSignal': dict(interval=2, dataset=dict(type='RandomImages'), batch_size=2),
}
COMPONENTS = [(kind, name) for kind, base in KINDS.items() for name in registered(base, TASK_UTILS)]
every_component = pytest.mark.parametrize(('kind', 'name'), COMPONENTS)


def config(name, **settings):
    return dict(type=name, **{**SETTINGS.get(name, {}), **settings})


def balancer_with(kind, name, **settings):
    return build('SLFBalancer', **{'signal': config('DeltaAP'), kind: config(name), **settings})


def trained(kind, name, steps=5, seeds=None, **settings):
    """A balancer after some steps, with the values of all outputs."""
    balancer, history = balancer_with(kind, name, **settings), []
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.1, momentum=0.9)
    train(balancer, optimizer, range(steps) if seeds is None else seeds, history)
    return balancer, optimizer, history


def train(balancer, optimizer, seeds, history):
    for seed in seeds:
        out = balance(balancer, *random_inputs(seed=seed))
        optimizer.zero_grad()
        objective(out).backward()
        optimizer.step()
        history.append([value.item() for value in out.values()])


def test_there_are_several_of_each_kind():
    assert {kind: len(registered(base, TASK_UTILS)) >= 3 for kind, base in KINDS.items()} == dict.fromkeys(KINDS, True)


@every_component
@pytest.mark.parametrize('num_images', [0, 1, 4])
def test_steps_are_finite_and_reach_both_networks(kind, name, num_images):
    balancer = balancer_with(kind, name)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    for step in range(3):
        parts, features = random_inputs(num_images, seed=step)
        out = balance(balancer, parts, features)
        assert all(value.isfinite() and value >= 0 for value in out.values())
        assert weights_of(out).sum().item() == pytest.approx(7.5)
        objective(out).backward()
        assert features.grad.isfinite().all() and features.grad.abs().sum() > 0
    for key, parameter in balancer.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, key


@every_component
def test_resumed_run_equals_uninterrupted(kind, name):
    _, _, uninterrupted = trained(kind, name, 10)
    balancer, optimizer, history = trained(kind, name, 5)
    file = io.BytesIO()
    torch.save((balancer.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    model_state, optimizer_state = torch.load(file, weights_only=True)
    resumed, optimizer, _ = trained(kind, name, 0)
    torch.rand(3)  # the global random state of a resumed run is another one
    resumed.load_state_dict(model_state)
    optimizer.load_state_dict(optimizer_state)
    train(resumed, optimizer, range(5, 10), history)
    assert history == uninterrupted


@every_component
def test_nothing_is_remembered_in_eval_mode(kind, name):
    balancer, _, _ = trained(kind, name)
    balancer.eval()
    before = copy.deepcopy(balancer.state_dict())
    first, second = (balance(balancer, *random_inputs(seed=9)) for _ in range(2))
    assert {key: value.item() for key, value in first.items()} == {key: value.item() for key, value in second.items()}
    for key, value in balancer.state_dict().items():
        assert torch.equal(value, before[key]), key


@every_component
@pytest.mark.parametrize('dtype', [torch.bfloat16, FLOAT16])
def test_works_under_autocast_in_fp32(kind, name, dtype):
    balancer, other = balancer_with(kind, name), balancer_with(kind, name)
    for step in range(3):
        parts, features = random_inputs(seed=step)
        low = {key: value.to(dtype) for key, value in parts.items()}
        with torch.autocast('cpu', dtype=dtype):
            out = balance(balancer, low, features)
        exact = balance(other, {key: value.float() for key, value in low.items()}, features)
        for key, value in out.items():
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, exact[key])
        objective(out).backward()


@every_component
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
@pytest.mark.parametrize('at', [0, 4], ids=['first', 'later'])
def test_a_batch_that_is_not_finite_leaves_no_trace(kind, name, at, bad):
    """But for what counts the steps, and decides what comes when, every buffer is as before."""
    balancer, _, _ = trained(kind, name, at)
    before = copy.deepcopy(balancer.state_dict())
    parts, features = random_inputs(seed=at)
    balance(balancer, {**parts, 'cls': parts['cls'] * bad}, features)
    for key, value in balancer.state_dict().items():
        if not key.endswith('.steps'):
            assert torch.equal(value, before[key]), key
        assert value.isfinite().all(), key
    out = balance(balancer, *random_inputs(seed=at + 1))
    assert all(value.isfinite() for value in out.values())


# Settings of all components but those that the balancer fills in
OWN_SETTINGS = [
    pytest.param(kind, name, setting, id=f'{name}-{setting}')
    for kind, name in COMPONENTS
    for setting in settings_of(TASK_UTILS.get(name))
    if setting not in ('num_parts', 'base_weights')
]


@pytest.mark.parametrize(('kind', 'name', 'setting'), OWN_SETTINGS)
def test_a_wrong_setting_is_an_error_that_names_owner_setting_and_value(kind, name, setting):
    with pytest.raises((TypeError, ValueError)) as error:
        balancer_with(kind, name, **{kind: config(name, **{setting: 'wrong'})})
    assert f'{name}: {setting}' in str(error.value) and "found 'wrong'" in str(error.value)


@every_component
def test_an_unknown_setting_names_those_that_there_are(kind, name):
    with pytest.raises(ValueError) as error:
        balancer_with(kind, name, **{kind: config(name, zoo=1)})
    settings = settings_of(TASK_UTILS.get(name))
    assert f"SLFBalancer.{kind}: {name} has no setting ['zoo']; it has {settings}." in str(error.value)


@every_component
def test_an_instance_is_taken_as_it_is(kind, name):
    made = getattr(balancer_with(kind, name), kind)
    assert getattr(balancer_with(kind, name, **{kind: made}), kind) is made


@pytest.mark.parametrize('name', registered(Signal, TASK_UTILS))
@pytest.mark.parametrize('num_images', [0, 4])
def test_costs_of_a_signal(name, num_images):
    """They are detached, one of each part or of each image and part, and follow the parts when these change places."""
    order = [2, 0, 3, 1]
    one, other = (TASK_UTILS.build(config(name, num_parts=4)) for _ in range(2))
    for seed in range(4):
        parts, features = random_inputs(num_images, seed)
        losses = torch.stack([parts[name] for name in PARTS], -1)
        steps = (
            Step(losses, PARTS, features, **offered(features)),
            Step(losses[..., order], [PARTS[i] for i in order], features, **offered(features)),
        )
        costs = one.costs(steps[0], BASE, BASE)
        permuted = other.costs(steps[1], BASE[order], BASE[order])
        assert costs.shape in ((4,), losses.shape) and costs.isfinite().all() and not costs.requires_grad
        torch.testing.assert_close(costs[..., order], permuted, rtol=1e-4, atol=1e-6)
    assert costs.abs().sum() > 0
    assert 7.5 * costs.abs().max() < 10  # about 1 / W each


@pytest.mark.parametrize('name', registered(Signal, TASK_UTILS))
def test_a_signal_does_not_change_what_the_detector_gets(name):
    found = []
    for signal in (config(name), config('TrainingLoss')):
        parts, features = random_inputs()
        balancer = build('SLFBalancer', signal=signal, sampler=dict(type='Softmax'))
        objective(balance(balancer, parts, features)).backward()
        found.append(features.grad)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize('name', registered(Sampler, TASK_UTILS))
def test_weights_of_a_sampler(name):
    """Shares >= 0 that sum to 1, are the probabilities on average, and have a gradient."""
    sampler = TASK_UTILS.build(config(name))
    log_p = torch.tensor([0.6, 0.3, 0.1]).log().expand(2000, 3).clone().requires_grad_()
    shares = sampler(log_p)
    assert shares.shape == (2000, 3) and (shares >= 0).all()
    torch.testing.assert_close(shares.sum(1), torch.ones(2000))
    torch.testing.assert_close(shares.mean(0), log_p[0].exp(), atol=0.5 / (30 * 2000) ** 0.5 * 5, rtol=0)
    (grad,) = torch.autograd.grad((shares * torch.tensor([1.0, 2.0, 4.0])).sum(), log_p)
    assert grad.isfinite().all() and (grad.abs().sum(1) > 0).all()
    assert sampler(log_p[:1], one_for_all=True).shape == (1, 3)


@pytest.mark.parametrize('name', registered(Prior, TASK_UTILS))
def test_shares_of_a_prior(name):
    """They are > 0, sum to 1, have no graph and follow the parts when these change places."""
    order = [2, 0, 3, 1]
    one, other = (TASK_UTILS.build(config(name, base_weights=weights)) for weights in (BASE, BASE[order]))
    for seed in range(3):
        shares = one.shares()
        assert (shares > 0).all() and shares.sum().item() == pytest.approx(1) and not shares.requires_grad
        torch.testing.assert_close(shares[order], other.shares())
        parts, features = random_inputs(seed=seed)
        losses = torch.stack([parts[name] for name in PARTS], 1)
        one.update(Step(losses, PARTS, **offered(features)), seed)
        other.update(Step(losses[:, order], PARTS, **offered(features)), seed)


class Own:
    """What a user registers: costs by position, the part of the largest probability, and a prior of 1 : 2 : 3 : 4."""

    class OwnSignal(Signal):
        def __init__(self, num_parts, scale=1.0):
            super().__init__(num_parts)
            self.scale = scale

        def costs(self, step, prior_weights, weights):
            return self.scale * torch.arange(self.num_parts) / prior_weights.sum()

    class OwnSampler(Sampler):
        def forward(self, log_p, one_for_all=False):
            hard = nn.functional.one_hot(log_p.argmax(-1), log_p.shape[-1])
            return hard + log_p.exp() - log_p.exp().detach()

    class OwnPrior(Prior):
        def shares(self):
            return torch.arange(1.0, len(self.base_shares) + 1) / sum(range(len(self.base_shares) + 1))


@pytest.fixture
def own_components():
    kinds = {kind.__name__: kind for kind in vars(Own).values() if isinstance(kind, type)}
    for name, kind in kinds.items():
        TASK_UTILS.register_module(name=name, module=kind)
    yield
    for name in kinds:
        del TASK_UTILS.module_dict[name]


def test_components_of_a_user(own_components):
    own = dict(signal=dict(type='OwnSignal', scale=2.0), sampler=dict(type='OwnSampler'), prior=dict(type='OwnPrior'))
    balancer = build('SLFBalancer', kl_weight=0.0, **own)
    assert [type(getattr(balancer, kind)).__name__ for kind in own] == ['OwnSignal', 'OwnSampler', 'OwnPrior']
    parts, features = random_inputs()
    out = balancer(parts, features)
    torch.testing.assert_close(weights_of(out), torch.tensor([0.0, 0.0, 0.0, 7.5]))
    objective(out).backward()
    # of W sum_i p_i c_i: W p_i (c_i - sum_j p_j c_j) with W c = 0, 2, 4, 6 and p = 0.1, 0.2, 0.3, 0.4
    p, costs = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.0, 2.0, 4.0, 6.0])
    torch.testing.assert_close(balancer.decision_network.output.bias.grad, p * (costs - (p * costs).sum()))
    with pytest.raises(ValueError, match=r"^SLFBalancer.signal: OwnSignal has no setting \['scal'\].*mean 'scale'\?"):
        build('SLFBalancer', signal=dict(type='OwnSignal', scal=2.0))
    with pytest.raises(ValueError, match=r"found 'OwnSignl'. Did you mean 'OwnSignal'\?"):
        build('SLFBalancer', signal=dict(type='OwnSignl'))

"""What is particular to SLFBalancer."""

import inspect
import math

import pytest
import torch

from slf_mmdet.balancers import DetectionQuality, Step
from slf_mmdet.slf import BaseWeights, DeltaAP, MultipleGumbelSoftmax, SLFBalancer, StratifiedGumbelSoftmax
from slf_mmdet.slf.balancer import MAX_LOGIT_OFFSET

from ..test_balancers.registry import (
    BASE,
    BASE_WEIGHTS,
    PARTS,
    balance,
    build,
    objective,
    random_features,
    random_inputs,
    random_parts,
    weights_of,
)

SOFTMAX = dict(type='Softmax')
LOSSES = (0.5, 1.0, 0.2, 2.0)


def samples(number, **kwargs):
    return dict(type='MultipleGumbelSoftmax', num_samples=number, **kwargs)


def slf(**kwargs):
    """With a signal that needs the losses alone."""
    return build('SLFBalancer', **{'signal': dict(type='TrainingLoss'), **kwargs})


def constant(losses=LOSSES):
    return {name: torch.tensor(value) for name, value in zip(PARTS, losses)}


def train(balancer, parts, steps, lr=0.1, optimizer=torch.optim.SGD):
    """Trains the decision network alone, on constant parts."""
    optimizer = optimizer(balancer.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(balancer(parts, random_features())).backward()
        optimizer.step()
    return balancer


def test_without_settings_it_is_the_recommended_one():
    balancer = SLFBalancer(base_weights=BASE_WEIGHTS, feature_dim=3)
    assert type(balancer.signal) is DeltaAP and type(balancer.prior) is BaseWeights
    assert type(balancer.sampler) is StratifiedGumbelSoftmax and balancer.sampler.num_samples.at(0) == 30
    assert (balancer.kl_weight, balancer.prior_share, balancer.warmup, balancer.granularity) == (0.5, 0, 0, 'image')


def test_it_has_few_settings():
    settings = set(inspect.signature(SLFBalancer.__init__).parameters)
    assert len(settings - {'self', 'parts', 'base_weights', 'feature_dim', 'init_cfg'}) <= 8


def test_starts_at_the_base_weights():
    torch.testing.assert_close(weights_of(slf(sampler=SOFTMAX)(random_parts(), random_features())), BASE)
    # Sampled, it starts there on average: 7.5 * sqrt(p (1 - p) / (64 * 200)) < 0.04 standard deviations
    out = slf(sampler=samples(200))(random_parts(64), random_features(64))
    torch.testing.assert_close(weights_of(out), BASE, atol=0.2, rtol=0)


@pytest.mark.parametrize(
    'kwargs',
    [
        {},
        dict(sampler=samples(1)),
        dict(sampler=samples(2, hard=False)),
        dict(sampler=dict(type='StratifiedGumbelSoftmax')),
        dict(prior_share=0.3),
        dict(granularity='batch'),
        dict(prior=dict(type='EqualWeights')),
    ],
)
def test_weights_sum_to_the_sum_of_the_base_weights(kwargs):
    balancer = train(slf(**kwargs), random_parts(), steps=3)
    assert weights_of(balancer(random_parts(), random_features())).sum().item() == pytest.approx(7.5, rel=1e-6)


def test_objective_is_equation_11_times_the_total_weight():
    parts, share = random_parts(), 0.2
    balancer = slf(sampler=samples(3, seed=5), prior_share=share)
    log_p = (BASE / 7.5).log().expand(4, 4)
    p_hat = MultipleGumbelSoftmax(3, seed=5)(log_p)
    by_image = ((1 - share) * p_hat + share * BASE / 7.5) * torch.stack([parts[name] for name in PARTS], 1)
    torch.testing.assert_close(objective(balancer(parts, random_features())), 7.5 * by_image.sum(1).mean())


def test_decision_network_minimises_its_costs_and_the_detector_the_loss():
    """Gradients by hand: of W sum_i p_i c_i to the bias, W p_i (c_i - sum_j p_j c_j), as p starts at the prior."""
    parts, features = random_inputs()
    balancer = slf(sampler=SOFTMAX)
    losses = torch.stack([parts[name] for name in PARTS], 1)
    (expected_of_features,) = torch.autograd.grad((BASE * losses).sum(1).mean(), features, retain_graph=True)
    objective(balancer(parts, features)).backward()
    costs = losses.detach() / (BASE * losses.detach()).sum(1).mean()
    p = BASE / 7.5
    expected = (7.5 * p * (costs - (p * costs).sum(1, keepdim=True))).mean(0)
    torch.testing.assert_close(balancer.decision_network.output.bias.grad, expected)
    torch.testing.assert_close(features.grad, expected_of_features)


def test_kl_term_ends_at_its_closed_form_optimum():
    # argmin_p W sum_i p_i c_i + kappa KL(p || q) is p_i ~ q_i exp(-W c_i / kappa), with c_i = l_i / sum_j lambda_j l_j
    losses, kappa = torch.tensor(LOSSES), 1.6
    balancer = train(slf(sampler=SOFTMAX, kl_weight=kappa), constant(), 150, lr=0.05, optimizer=torch.optim.Adam)
    optimum = BASE * (-7.5 * losses / (kappa * (BASE * losses).sum())).exp()
    weights = weights_of(balancer(constant(), random_features()))
    torch.testing.assert_close(weights, 7.5 * optimum / optimum.sum(), atol=0.01, rtol=0)
    assert (weights - BASE).abs().max() > 0.3


@pytest.mark.parametrize('scale', [1e-3, 1e3])
def test_what_it_learns_does_not_depend_on_the_unit_of_the_losses(scale):
    def gradient(factor):
        balancer = slf(sampler=SOFTMAX)
        parts = {name: factor * value for name, value in random_parts().items()}
        objective(balancer(parts, random_features())).backward()
        return balancer.decision_network.output.bias.grad

    torch.testing.assert_close(gradient(scale), gradient(1.0))


@pytest.mark.parametrize('prior', ['BaseWeights', 'EqualWeights'])
def test_no_output_of_the_decision_network_takes_a_part_far_from_the_prior(prior):
    """Of two parts, p_i / q_i differs by less than exp(6), whatever the optimizer did to the network."""
    balancer = slf(sampler=SOFTMAX, prior=dict(type=prior))
    output = torch.tensor([[0.0, -1e8, 1e8, 5.0], [-20.0, 3.0, 0.0, 20.0]]).log_softmax(-1)
    relative = balancer.mean_weights(output) / 7.5 / balancer.prior.shares()
    assert (relative.max(1).values / relative.min(1).values < math.exp(2 * MAX_LOGIT_OFFSET) + 1).all()
    assert (relative.max(1).values / relative.min(1).values > math.exp(MAX_LOGIT_OFFSET)).all()
    # near the prior the offset is the logit itself: 1e-3 up to 1e-6
    near = balancer.mean_weights(torch.tensor([[1e-3, 0.0, 0.0, 0.0]]).log_softmax(-1)) / 7.5
    shares = balancer.prior.shares()
    torch.testing.assert_close(near[0, 0] / shares[0] / (near[0, 1] / shares[1]), torch.tensor(math.exp(1e-3)))


@pytest.mark.parametrize('offset', [-300.0, -60.0, 60.0, 300.0])
def test_one_bad_step_of_the_optimizer_can_be_made_good(offset):
    """However far the network is, there is a gradient back to the prior that an optimizer such as Adam can follow."""
    balancer = slf(sampler=SOFTMAX, kl_weight=1.0)
    with torch.no_grad():
        balancer.decision_network.output.bias[3] += offset
    parts = {name: torch.ones(4) for name in PARTS}  # equal parts: the optimum is the prior
    out = balancer(parts, random_features())
    assert abs(math.log(out['balance_noobj'] / 0.5)) > 1
    objective(out).backward()
    gradient = balancer.decision_network.output.bias.grad[3].item()
    assert gradient * offset > 0 and abs(gradient) > 1e-7  # ten times the eps of Adam


def test_it_comes_back_from_a_bad_step():
    balancer = slf(sampler=SOFTMAX, kl_weight=1.0)
    with torch.no_grad():
        balancer.decision_network.output.bias[3] -= 10
    parts = {name: torch.ones(4) for name in PARTS}
    assert weights_of(balancer(parts, random_features()))[3] < 0.1
    train(balancer, parts, 150, lr=0.02, optimizer=torch.optim.AdamW)
    torch.testing.assert_close(weights_of(balancer(parts, random_features())), BASE, rtol=0.2, atol=0)


def test_kl_term_does_not_change_the_value_of_the_losses():
    parts, features = random_parts(), random_features()
    first, second = (train(slf(kl_weight=kappa), parts, 1, lr=0)(parts, features) for kappa in (0.0, 3.0))
    for key in first:
        torch.testing.assert_close(first[key], second[key])


@pytest.mark.parametrize('share', [0.4, 1.0])
def test_prior_share_is_never_given_away(share):
    balancer = slf(sampler=SOFTMAX, kl_weight=0, prior_share=share)
    weights = weights_of(train(balancer, constant(), 100)(constant(), random_features()))
    assert (weights >= share * BASE - 1e-6).all()
    assert ((weights - BASE).abs().max() > 0.3) == (share < 1)


def test_features_are_detached():
    features = random_features().requires_grad_()
    balancer = slf()
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    objective(balancer(random_parts(), features)).backward()
    assert features.grad is None


def test_weights_depend_on_the_image():
    balancer = slf(sampler=SOFTMAX)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    rows = balancer.compute_weights(Step(torch.ones(4, 4), PARTS, random_features())).weights
    assert (rows[0] - rows[1]).abs().max() > 1e-3


def test_decision_network_stays_alive_at_a_learning_rate_of_detectors():
    """Costs that push all images the same way, step after step, must not leave it blind to the image."""
    balancer = slf(sampler=SOFTMAX)
    optimizer = torch.optim.AdamW(balancer.parameters(), lr=0.02)
    for step in range(150):
        optimizer.zero_grad()
        objective(balancer(random_parts(seed=step), random_features(4, seed=step))).backward()
        optimizer.step()
    output = balancer.decision_network(random_features(64, seed=999))
    assert output.std(0).min() > 1e-3


def test_warmup_keeps_the_prior_while_the_decision_network_learns():
    for kwargs in (dict(), dict(prior=dict(type='EqualWeights'))):
        balancer = slf(warmup=3, sampler=samples(2), **kwargs)
        for step in range(5):
            out = balancer(random_parts(), random_features())
            objective(out).backward()
            assert torch.equal(weights_of(out), 7.5 * balancer.prior.shares()) == (step < 3)
    balancer = slf(warmup=3)
    objective(balancer(random_parts(), random_features())).backward()
    assert balancer.decision_network.output.bias.grad.abs().sum() > 0


def test_warmup_counts_on_after_a_resume():
    first = slf(warmup=3, sampler=samples(1))
    for _ in range(2):
        first(random_parts(), random_features())
    second = slf(warmup=3, sampler=samples(1))
    second.load_state_dict(first.state_dict())
    at_prior = [torch.equal(weights_of(second(random_parts(), random_features())), BASE) for _ in range(2)]
    assert at_prior == [True, False]


@pytest.mark.parametrize('bad', [math.inf, -math.inf, math.nan])
def test_a_part_that_is_not_selected_contributes_nothing_even_if_it_is_not_finite(bad):
    """With K = 1 each image has one part: what the others are changes neither network by a bit."""
    found = []
    for value in (bad, 0.0):
        balancer = slf(sampler=samples(1, seed=3))
        balancer.decision_network.output.weight.data.normal_(generator=torch.Generator().manual_seed(1))
        parts, features = random_inputs(8)
        selected = MultipleGumbelSoftmax(1, seed=3)(balancer._log_p(balancer.decision_network(features.detach())))
        losses = {name: torch.where(selected[:, i] > 0, parts[name], value) for i, name in enumerate(PARTS)}
        out = balancer(losses, features)
        objective(out).backward()
        found.append([features.grad, *[p.grad for p in balancer.parameters()], *out.values()])
        assert torch.equal(balancer.selective_code.a, selected.detach())
    assert all(torch.equal(one, other) and one.isfinite().all() for one, other in zip(*found))
    assert all(value.abs().sum() > 0 for value in found[0][:5])


def test_delta_ap_is_monitored_by_part():
    balancer = build('SLFBalancer')
    balance(balancer, *random_inputs())
    monitored = balancer.monitored()
    assert list(monitored) == ['ap_lost']
    torch.testing.assert_close(monitored['ap_lost'], balancer.signal.gains.mean)
    assert slf().monitored() == {}


def test_advice_for_a_collapse_says_what_holds_the_weights():
    advice = slf(kl_weight=0.3, prior_share=0.1).collapse_advice()
    assert 'the signal TrainingLoss' in advice and 'kl_weight=0.3' in advice and 'prior_share=0.1' in advice


def test_it_learns_what_the_detection_quality_lacks_until_that_is_solved():
    """Two sums of squares, one quality: the second part is all that is missing, then the first."""
    output = torch.ones(8, 2, requires_grad=True)
    signal = dict(type='DeltaAP', interval=1, momentum=0.9)
    balancer = build(
        'SLFBalancer', signal=signal, sampler=SOFTMAX, kl_weight=1.0, parts=['a', 'b'], feature_dim=2, base_weights={}
    )
    optimizer = torch.optim.Adam(balancer.parameters(), lr=0.05)
    mean_weights = []
    for lacks in (1, 0):
        for _ in range(80):
            parts = dict(a=output[:, 0].square(), b=output[:, 1].square())
            quality = DetectionQuality(
                lambda inputs, lacks=lacks: -inputs[0][:, lacks].abs().mean(), [output], step_scale=2.0
            )
            out = balancer(parts, output, detection_quality=quality)
            optimizer.zero_grad()
            objective(out).backward()
            optimizer.step()
        mean_weights.append(balancer.last.weights)
    # The optimum of sum_i w_i c_i + KL with W c = -1 for the part that is missing: e times the weight of the other
    e = math.e
    torch.testing.assert_close(mean_weights[0], torch.tensor([2 / (1 + e), 2 * e / (1 + e)]), rtol=0.02, atol=0)
    torch.testing.assert_close(mean_weights[1], torch.tensor([2 * e / (1 + e), 2 / (1 + e)]), rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(kl_weight=-1), 'SLFBalancer: kl_weight must be a finite number >= 0, found -1'),
        (dict(kl_weight=math.inf), 'kl_weight.*found inf'),
        (dict(prior_share=1.5), r'SLFBalancer: prior_share must be in \[0, 1\], found 1.5'),
        (dict(warmup=-1), 'SLFBalancer: warmup must be an integer >= 0, found -1. It counts iterations'),
        (dict(base_weights=dict(coord=0)), r"SLFBalancer: base_weights\['coord'\] must be > 0, found 0"),
        (dict(signal=dict(type='Joint')), r"^SLFBalancer.signal.type must be one of \['DeltaAP', .*found 'Joint'"),
        (dict(signal='DeltaAP'), r"^SLFBalancer.signal must be a dict as dict\(type='DeltaAP', ...\), found 'DeltaAP'"),
        (
            dict(signal=dict(type='DeltaAP', intervall=3)),
            r"^SLFBalancer.signal: DeltaAP has no setting \['intervall'\].*Did you mean 'interval'\?",
        ),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('SLFBalancer', **wrong)

"""What is particular to the Stochastic Loss Function."""

import pytest
import torch
from registry import BASE_WEIGHTS, CONTEXT_DIM, PARTS, build, objective, random_context, random_parts

BASE = torch.tensor([BASE_WEIGHTS[name] for name in PARTS])


def slf(**kwargs):
    return build('SLFBalancer', **{'sampler': 'gumbel', **kwargs})


def weights_of(out):
    return torch.stack([out[f'balance/{name}'] for name in PARTS])


def train(balancer, parts, steps, lr=0.1, optimizer=torch.optim.SGD):
    """Trains the decision network alone, on constant parts."""
    optimizer = optimizer(balancer.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(balancer(parts, random_context())).backward()
        optimizer.step()
    return balancer


def test_starts_at_the_base_weights():
    torch.testing.assert_close(weights_of(slf(sampler='softmax')(random_parts(), random_context())), BASE)
    # Sampled, it starts there on average: 7.5 * sqrt(p (1 - p) / (64 * 200)) < 0.04 standard deviations
    out = slf(num_samples=200)(random_parts(64), random_context(64))
    torch.testing.assert_close(weights_of(out), BASE, atol=0.2, rtol=0)


def test_starts_uniform_when_asked_to():
    out = slf(sampler='softmax', initial='uniform')(random_parts(), random_context())
    torch.testing.assert_close(weights_of(out), torch.full((4,), 7.5 / 4))


@pytest.mark.parametrize(
    'kwargs', [{}, dict(num_samples=1), dict(hard=False), dict(base_share=0.3), dict(granularity='batch')]
)
def test_weights_sum_to_the_base_weights_sum(kwargs):
    balancer = train(slf(**kwargs), random_parts(), steps=3)
    assert weights_of(balancer(random_parts(), random_context())).sum().item() == pytest.approx(7.5, rel=1e-6)


def test_objective_is_equation_11_times_the_total_weight():
    parts = random_parts()
    balancer = slf(num_samples=1, kl_weight=0)
    log_p = balancer._decide(torch.ones(4, 4), random_context())
    p_hat = balancer._sample(log_p)
    balancer.counter.value = 0  # the same draw once more
    expected = sum(7.5 * (p_hat[:, i] * parts[name]).mean() for i, name in enumerate(PARTS))
    torch.testing.assert_close(objective(balancer(parts, random_context())), expected)


def test_samples_are_drawn_where_the_config_asks_for_them():
    asked = [dict(num_samples=3), dict(tau=0.5), dict(num_samples=dict(value=3, schedulers=[])), dict(sampler='gumbel')]
    assert all(build('SLFBalancer', **kwargs).sampler == 'gumbel' for kwargs in asked)
    not_asked = [dict(), dict(sampler='softmax', num_samples=3)]
    assert all(build('SLFBalancer', **kwargs).sampler == 'softmax' for kwargs in not_asked)
    assert slf().num_samples.at(0) == 30


def test_granularity():
    def distinct_rows(**kwargs):
        balancer = slf(num_samples=1, **kwargs)
        return len(balancer.weigh(torch.ones(64, 4), random_context(64)).weights.unique(dim=0))

    assert distinct_rows(granularity='image') > 1
    assert distinct_rows(granularity='batch') == 1


def test_joint_gradient_is_the_analytic_one_and_favours_small_parts():
    # p = softmax(mu): d(sum_i p_i l_i)/dmu_i = p_i (l_i - sum_j p_j l_j), times the total weight 7.5
    losses = torch.tensor([0.5, 1.0, 0.2, 2.0])
    balancer = slf(sampler='softmax', kl_weight=0)
    objective(balancer(dict(zip(PARTS, losses)), random_context())).backward()
    p = BASE / 7.5
    expected = 7.5 * p * (losses - (p * losses).sum())
    torch.testing.assert_close(balancer.decision_network.output.bias.grad, expected)
    assert (expected < 0).tolist() == [True, False, True, False]  # descent feeds the parts below the mean loss


def test_literal_algorithm_1_collapses_on_constant_parts():
    parts = {name: torch.tensor(value) for name, value in zip(PARTS, (0.5, 1.0, 0.2, 2.0))}
    literal = slf(initial='uniform', kl_weight=0, sampler='softmax', detach_context=False)
    weights = weights_of(train(literal, parts, steps=300)(parts, random_context()))
    assert weights[2] > 0.95 * 7.5  # all on obj, the smallest


def test_kl_anchor_ends_at_its_closed_form_optimum():
    # argmin_p W sum_i p_i l_i / L + kappa KL(p || q) is p_i ~ q_i exp(-W l_i / (kappa L)), with L = sum_i lambda_i l_i
    losses, kappa = torch.tensor([0.5, 1.0, 0.2, 2.0]), 1.6
    balancer = train(slf(sampler='softmax', kl_weight=kappa), dict(zip(PARTS, losses)), steps=3000)
    optimum = BASE * (-7.5 * losses / (kappa * (BASE * losses).sum())).exp()
    weights = weights_of(balancer(dict(zip(PARTS, losses)), random_context()))
    torch.testing.assert_close(weights, 7.5 * optimum / optimum.sum(), atol=0.01, rtol=0)


@pytest.mark.parametrize('scale', [1e-3, 1e3])
def test_anchored_weights_do_not_depend_on_the_scale_of_the_losses(scale):
    def gradient(factor):
        balancer = slf(initial='uniform', sampler='softmax')
        parts = {name: factor * value for name, value in random_parts().items()}
        objective(balancer(parts, random_context())).backward()
        return balancer.decision_network.output.bias.grad

    torch.testing.assert_close(gradient(scale), gradient(1.0))


def test_default_anchor_keeps_every_part_alive_whatever_the_losses():
    for largest in range(4):
        parts = {name: torch.tensor(100.0 if i == largest else 0.01) for i, name in enumerate(PARTS)}
        weights = weights_of(train(slf(sampler='softmax'), parts, steps=1000, lr=1e-2)(parts, random_context()))
        q = BASE / 7.5
        assert (weights / 7.5 >= q * (-1 / (20.0 * q)).exp() - 1e-4).all()


@pytest.mark.parametrize('kwargs', [dict(kl_weight=1.0), dict(objective='normalized', granularity='batch')])
def test_one_bad_step_of_the_optimizer_is_made_good(kwargs):
    torch.manual_seed(0)
    balancer = slf(sampler='softmax', **kwargs)
    with torch.no_grad():
        balancer.decision_network.output.bias += torch.tensor([0.0, 0.0, 0.0, 60.0])
    parts = {name: torch.ones(4) for name in PARTS}
    assert weights_of(balancer(parts, random_context()))[3] > 5  # noobj: most of 7.5
    train(balancer, parts, 1000, lr=0.008, optimizer=torch.optim.AdamW)
    # all parts are equal, so the optimum is the anchor
    torch.testing.assert_close(weights_of(balancer(parts, random_context())), BASE, rtol=0.2, atol=0)


def test_anchor_does_not_change_the_value_of_the_losses():
    parts, context = random_parts(), random_context()
    balancers = [slf(kl_weight=kappa, initial='uniform') for kappa in (0.0, 3.0)]
    first, second = (balancer(parts, context) for balancer in balancers)
    for key in first:
        torch.testing.assert_close(first[key], second[key])


def test_base_share_is_never_given_away():
    literal = slf(initial='uniform', kl_weight=0, base_share=0.4)
    parts = {name: torch.tensor(value) for name, value in zip(PARTS, (0.5, 1.0, 0.2, 2.0))}
    weights = weights_of(train(literal, parts, steps=100)(parts, random_context()))
    assert (weights >= 0.4 * BASE - 1e-6).all()


@pytest.mark.parametrize('detach', [True, False])
def test_detach_context(detach):
    context = random_context().requires_grad_()
    balancer = slf(detach_context=detach)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    objective(balancer(random_parts(), context)).backward()
    assert (context.grad is None) == detach


def test_weights_depend_on_the_image():
    balancer = slf(sampler='softmax')
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    rows = balancer.weigh(torch.ones(4, 4), random_context()).weights
    assert (rows[0] - rows[1]).abs().max() > 1e-3


def test_decision_network_stays_alive_at_a_learning_rate_of_detectors():
    """Goals that push all images the same way, for hundreds of steps, must not leave it blind to the image."""
    balancer = slf(sampler='softmax')
    optimizer = torch.optim.AdamW(balancer.parameters(), lr=0.01)
    for step in range(300):
        optimizer.zero_grad()
        objective(balancer(random_parts(seed=step), random_context(4, seed=step))).backward()
        optimizer.step()
    tilt = balancer.decision_network(random_context(64, seed=999))
    assert tilt.std(0).min() > 1e-3


def test_seed_decides_the_samples_whatever_the_global_state():
    def draw(seed):
        balancer = slf(seed=seed, num_samples=1)
        torch.rand(5)
        return balancer(random_parts(64), random_context(64))['balance/coord'].item()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_draws_differ_from_step_to_step_and_stay_in_eval():
    balancer = slf(num_samples=1)
    draw = lambda: balancer(random_parts(64), random_context(64))['balance/coord'].item()  # noqa: E731
    assert len({draw() for _ in range(8)}) > 3
    balancer.eval()
    assert draw() == draw()


def test_scheduled_temperature():
    schedule = dict(value=4.0, schedulers=[dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.25, end=6)])
    balancer = slf(tau=schedule)
    # mmengine interpolates linearly over end - 1 = 5 steps: 4, 3.4, 2.8, 2.2, 1.6, 1 and then stays.
    values = []
    for _ in range(8):
        values.append(balancer.tau.at(balancer.counter.value))
        balancer(random_parts(), random_context())
    assert values == pytest.approx([4, 3.4, 2.8, 2.2, 1.6, 1, 1, 1])
    resumed = slf(tau=schedule)
    resumed.load_state_dict(balancer.state_dict())
    assert resumed.tau.at(resumed.counter.value) == pytest.approx(1)
    assert resumed.tau.at(2) == pytest.approx(2.8)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(num_samples=0), r"num_samples \(the paper's K\) must be an integer >= 1, found 0"),
        (dict(num_samples=2.5), 'num_samples.*found 2.5'),
        (dict(tau=0), 'tau must be > 0, found 0'),
        (dict(tau=-1.0), 'tau must be > 0, found -1'),
        (dict(sampler='gumble'), r"sampler must be one of \['gumbel', 'softmax'\], found 'gumble'"),
        (dict(granularity='pixel'), "granularity.*'pixel'"),
        (dict(initial='zero'), "initial.*'zero'"),
        (dict(objective='joined'), r"objective must be one of \['joint', .*found 'joined'"),
        (dict(kl_weight=-1), 'kl_weight.*found -1'),
        (dict(base_share=1.5), r'base_share must be in \[0, 1\], found 1.5'),
        (dict(context_dim=None), 'context_dim.*must be given'),
        (dict(base_weights=dict(coord=0)), r"base_weights\['coord'\] must be > 0, found 0"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        slf(**wrong)


def test_wrong_schedule_and_context():
    with pytest.raises(TypeError, match='number or dict'):
        slf(tau=dict(start=1))
    with pytest.raises(ValueError, match=rf'\(N, {CONTEXT_DIM}\), found None'):
        slf()(random_parts(), None)
    with pytest.raises(ValueError, match=r'found \(4, 3\)'):
        slf()(random_parts(), torch.zeros(4, 3))

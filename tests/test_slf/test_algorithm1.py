"""PaperSLFBalancer against Algorithm 1 of Liu & Lai, AAAI 2020, written out in plain torch in float64."""

import math

import pytest
import torch
from torch import nn

from slf_mmdet.slf import PaperSLFBalancer

from ..test_balancers.registry import BASE_WEIGHTS, PARTS, build, objective, random_features, random_inputs, weights_of

N, D, TAU = 5, 6, 0.8
TOTAL = sum(BASE_WEIGHTS.values())


class Network(nn.Module):
    """f(x; w): its output is what the losses and the decision network see."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, D)

    def forward(self, x):
        return self.second(self.first(x).tanh())


def losses_of(output):
    """L_1 ... L_4 of each image."""
    target = torch.arange(1.0, 5.0, dtype=output.dtype)
    return [(output[:, i] - target[i]).square() + 0.1 * output[:, i + 1].square() for i in range(4)]


def decision(x, v):
    """h(x; v): LayerNorm - Linear - leaky ReLU - Linear - softmax, of one vector."""
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    x = torch.stack([(value - mean) / (variance + 1e-5).sqrt() for value in x]) / math.sqrt(len(x))
    hidden = v['hidden.weight'] @ x + v['hidden.bias']
    hidden = torch.where(hidden > 0, hidden, 0.1 * hidden) / math.sqrt(len(hidden))
    scores = (v['output.weight'] @ hidden + v['output.bias']).exp()
    return scores / scores.sum()


def straight_through(p, gumbel):
    """Eq. 5-6: the largest of log p + g as a one-hot vector, with the gradient of the softmax at temperature tau."""
    scores = ((p.log() + gumbel) / TAU).exp()
    soft = scores / scores.sum()
    hard = torch.zeros_like(p)
    hard[(p.log() + gumbel).argmax()] = 1
    return hard + soft - soft.detach()


def literal(output, v, gumbel, per_image):
    """Eq. 9-11: the weighted sums of the losses, averaged over the images, part by part."""
    losses, contributions = losses_of(output), [0.0] * 4
    if not per_image:
        p = decision(output.mean(0), v)
    for image in range(N):
        if per_image:
            p = decision(output[image], v)
        noise = gumbel[image if per_image else 0]
        p_hat = sum(straight_through(p, noise[k]) for k in range(len(noise))) / len(noise)
        for i in range(4):
            contributions[i] = contributions[i] + TOTAL * p_hat[i] * losses[i][image] / N
    return contributions


@pytest.mark.parametrize('num_samples', [1, 3])
@pytest.mark.parametrize('granularity', ['image', 'batch'])
def test_values_and_gradients_of_both_networks_are_those_of_algorithm_1(granularity, num_samples):
    sampler = dict(type='MultipleGumbelSoftmax', num_samples=num_samples, tau=TAU, seed=3)
    balancer = build('PaperSLFBalancer', sampler=sampler, granularity=granularity).double()
    network = Network().double()
    w, v = dict(network.named_parameters()), dict(balancer.decision_network.named_parameters())
    per_image = granularity == 'image'
    for step in range(3):
        x = torch.randn(N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        generator = balancer.sampler.generator.at(step, x.device)
        uniform = torch.rand(4, num_samples, N if per_image else 1, dtype=torch.float64, generator=generator)
        gumbel = -(-uniform.log()).log()
        output = network(x)
        expected = literal(output, v, gumbel.permute(2, 1, 0), per_image)
        expected_grads = torch.autograd.grad(sum(expected), [*w.values(), *v.values()], retain_graph=True)

        out = balancer(dict(zip(PARTS, losses_of(output))), output)
        grads = torch.autograd.grad(objective(out), [*w.values(), *v.values()])
        for name, value in zip(PARTS, expected):
            torch.testing.assert_close(out[f'loss_{name}'], value, rtol=1e-10, atol=1e-12)
        for (key, _), ours, theirs in zip([*w.items(), *v.items()], grads, expected_grads):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11, msg=lambda text, key=key: f'{key}: {text}')
            assert theirs.abs().max() > 1e-6, key


def test_it_has_no_factor_but_the_total_weight_of_the_base_weights():
    one, other = (
        build('PaperSLFBalancer', base_weights=dict(zip(PARTS, base))) for base in ([5, 1, 1, 0.5], [1, 1, 1, 1])
    )
    parts, features = random_inputs()
    torch.testing.assert_close(objective(one(parts, features)) / 7.5, objective(other(parts, features)) / 4)


@pytest.mark.parametrize('sampler', [dict(type='Softmax'), dict(type='MultipleGumbelSoftmax', num_samples=3)])
def test_it_collapses_on_constant_parts(sampler):
    parts = {name: torch.tensor(value) for name, value in zip(PARTS, (0.5, 1.0, 0.2, 2.0))}
    balancer = build('PaperSLFBalancer', start='uniform', sampler=sampler)
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        objective(balancer(parts, random_features())).backward()
        optimizer.step()
    p = balancer.decision_network(random_features()).exp()
    assert (p[:, 2] > 0.95).all()  # all on obj, the smallest
    assert 'Algorithm 1 itself' in balancer.collapse_advice() and 'SLFBalancer' in balancer.collapse_advice()


def test_gradient_of_the_weights_is_the_analytic_one_and_favours_small_parts():
    # p = softmax(mu): d(sum_i p_i l_i)/dmu_i = p_i (l_i - sum_j p_j l_j), times the total weight 7.5
    losses = torch.tensor([0.5, 1.0, 0.2, 2.0])
    balancer = build('PaperSLFBalancer', sampler=dict(type='Softmax'), start='uniform')
    objective(balancer(dict(zip(PARTS, losses)), random_features())).backward()
    expected = 7.5 * 0.25 * (losses - losses.mean())
    torch.testing.assert_close(balancer.decision_network.output.bias.grad, expected)
    assert (expected < 0).tolist() == [True, False, True, False]  # descent feeds the parts below the mean loss


def test_the_detector_is_differentiated_through_the_features_too():
    features = random_features().requires_grad_()
    objective(
        build('PaperSLFBalancer')({name: torch.ones(4) * (i + 1) for i, name in enumerate(PARTS)}, features)
    ).backward()
    assert features.grad.abs().sum() > 0


def test_starts():
    features = random_features(64)
    uniform = build('PaperSLFBalancer', start='uniform').decision_network(features).exp()
    torch.testing.assert_close(uniform, torch.full((64, 4), 0.25))
    random = build('PaperSLFBalancer').decision_network(features).exp()
    assert (random.mean(0) - 0.25).abs().max() > 0.02 and random.std(0).min() > 0.01
    balancer = build('PaperSLFBalancer', sampler=dict(type='Softmax'), start='uniform')
    parts, features = random_inputs()
    torch.testing.assert_close(weights_of(balancer(parts, features)), torch.full((4,), 7.5 / 4))


def test_it_draws_three_samples_by_default():
    assert PaperSLFBalancer(base_weights=BASE_WEIGHTS, feature_dim=3).sampler.num_samples.at(0) == 3


@pytest.mark.parametrize('bad', [math.inf, math.nan])
def test_a_part_that_is_not_selected_contributes_nothing_even_if_it_is_not_finite(bad):
    """With K = 1 each image has one part: what the others are changes neither network by a bit."""
    found = []
    for value in (bad, 0.0):
        balancer = build('PaperSLFBalancer', sampler=dict(type='MultipleGumbelSoftmax', num_samples=1, seed=3))
        parts, features = random_inputs(8)
        balancer.eval()(parts, features)  # repeats the draw
        selected = balancer.train().selective_code.a
        losses = {name: torch.where(selected[:, i] > 0, parts[name], value) for i, name in enumerate(PARTS)}
        out = balancer(losses, features)
        objective(out).backward()
        assert torch.equal(balancer.selective_code.a, selected)
        found.append([features.grad, *[p.grad for p in balancer.parameters()], *out.values()])
    assert all(torch.equal(one, other) and one.isfinite().all() for one, other in zip(*found))
    assert all(value.abs().sum() > 0 for value in found[0][:5])


def test_wrong_start():
    with pytest.raises(
        ValueError, match=r"PaperSLFBalancer: start must be one of \['random', 'uniform'\], found 'base'"
    ):
        build('PaperSLFBalancer', start='base')

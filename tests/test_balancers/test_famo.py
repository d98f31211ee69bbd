"""FAMO against a literal loop with torch's own Adam."""

import pytest
import torch

from .registry import BASE, PARTS, build, constant_inputs, objective, observe, random_inputs


def literal(losses, lr=0.025, weight_decay=1e-3):
    """The weights of each step: Eq. 8-10 of the paper, with the losses of the next step as those after the update."""
    logits = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=lr, weight_decay=weight_decay)
    weights, before = [], None
    for now in torch.tensor(losses):
        if before is not None:
            z = (logits + BASE.log()).softmax(0)
            delta = before.log() - now.log()
            (logits.grad,) = torch.autograd.grad(z, logits, delta)
            optimizer.step()
        z = (logits + BASE.log()).softmax(0).detach()
        weights.append((BASE.sum() * z / now / (z / now).sum()).tolist())
        before = now
    return weights


@pytest.mark.parametrize('weight_decay', [0.0, 1e-3, 0.1])
def test_equals_the_literal_formula(weight_decay):
    losses, weights = observe(build('FAMOBalancer', weight_decay=weight_decay), 15)
    for ours, expected in zip(weights, literal(losses, weight_decay=weight_decay)):
        assert ours == pytest.approx(expected, rel=1e-4)


def test_gradient_has_the_direction_of_the_weighted_logarithms():
    parts, features = random_inputs()
    losses = torch.stack([parts[name].mean() for name in PARTS])
    ours, logarithms = (
        torch.autograd.grad(loss, features, retain_graph=True)[0]
        for loss in (objective(build('FAMOBalancer')(parts, features)), (BASE * losses.log()).sum() / BASE.sum())
    )
    c = 1 / (BASE / BASE.sum() / losses).sum()
    torch.testing.assert_close(ours, BASE.sum() * c.detach() * logarithms)


def test_a_part_that_falls_fast_loses_share():
    balancer = build('FAMOBalancer')
    for step in range(20):
        balancer(*constant_inputs([0.8**step, 1.0, 1.0, 1.0]))
    assert balancer.logits[0] < -0.2 and (balancer.logits[1:] > 0).all()


def test_an_interval_learns_from_its_mean():
    losses, _ = observe(balancer := build('FAMOBalancer', interval=3, weight_decay=0.0), 9)
    means = [[sum(column) / 3 for column in zip(*losses[start : start + 3])] for start in (0, 3, 6)]
    other = build('FAMOBalancer', weight_decay=0.0)
    for mean in means:
        other(*constant_inputs(mean))
    torch.testing.assert_close(balancer.logits, other.logits)
    assert balancer.logits.abs().min() > 1e-3


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(lr=-1), 'lr must be a finite number >= 0, found -1'),
        (dict(weight_decay=float('nan')), 'weight_decay.*found nan'),
        (dict(interval=0), 'interval must be an integer >= 1'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('FAMOBalancer', **wrong)

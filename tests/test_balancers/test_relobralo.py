"""ReLoBRaLo against a plain loop."""

import math

import pytest
import torch

from .registry import BASE, build, observe

BASE = BASE.tolist()


def relative(now, reference, temperature):
    raw = [base * math.exp(a / b / temperature) for base, a, b in zip(BASE, now, reference)]
    return [sum(BASE) * value / sum(raw) for value in raw]


def literal(losses, keeps, alpha, temperature):
    """The weights of each step; ``keeps`` holds the Bernoulli draws."""
    weights = [BASE]
    for t in range(1, len(losses)):
        past = weights[-1] if keeps[t] else relative(losses[t], losses[0], temperature)
        recent = relative(losses[t], losses[t - 1], temperature)
        weights.append([alpha * a + (1 - alpha) * b for a, b in zip(past, recent)])
    return weights


@pytest.mark.parametrize(('alpha', 'lookback', 'temperature'), [(0.95, 0.5, 1.0), (0.3, 0.0, 0.5), (0.9, 1.0, 5.0)])
def test_equals_the_literal_formula(alpha, lookback, temperature):
    balancer = build('ReLoBRaLoBalancer', alpha=alpha, lookback=lookback, temperature=temperature, seed=5)
    losses, weights = observe(balancer, 12)
    cpu = torch.device('cpu')
    keeps = [torch.rand((), generator=balancer.generator.at(step, cpu)).item() < lookback for step in range(12)]
    for ours, expected in zip(weights, literal(losses, keeps, alpha, temperature)):
        assert ours == pytest.approx(expected, rel=1e-5)


def test_looks_back_with_its_probability():
    balancer = build('ReLoBRaLoBalancer', lookback=0.9, alpha=1.0, seed=0)
    _, weights = observe(balancer, 400)
    changes = sum(a != b for a, b in zip(weights, weights[1:]))
    assert 20 <= changes <= 60  # 40 expected, with a standard deviation of 6


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(alpha=1.5), r'alpha must be in \[0, 1\], found 1.5'),
        (dict(lookback=-0.1), r'lookback must be in \[0, 1\], found -0.1'),
        (dict(temperature=0), 'temperature must be > 0, found 0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('ReLoBRaLoBalancer', **wrong)

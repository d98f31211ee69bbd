"""Dynamic Weight Average against a plain loop."""

import math

import pytest

from .registry import BASE, build, constant_inputs, observe, weights_of

BASE = BASE.tolist()


def literal(losses, interval, temperature):
    """Liu et al., Eq. 7, over means of intervals: the weights of each step."""
    weights = []
    for step in range(len(losses)):
        t = step // interval
        if t < 2:
            weights.append(BASE)
            continue
        means = [
            [sum(row[i] for row in losses[k * interval : (k + 1) * interval]) / interval for i in range(4)]
            for k in (t - 1, t - 2)
        ]
        raw = [base * math.exp(now / before / temperature) for base, now, before in zip(BASE, *means)]
        weights.append([sum(BASE) * value / sum(raw) for value in raw])
    return weights


@pytest.mark.parametrize(('interval', 'temperature'), [(1, 2.0), (3, 2.0), (3, 0.1)])
def test_equals_the_literal_formula(interval, temperature):
    losses, weights = observe(build('DWABalancer', interval=interval, temperature=temperature), 11)
    for ours, expected in zip(weights, literal(losses, interval, temperature)):
        assert ours == pytest.approx(expected, rel=1e-5)


def test_by_hand():
    # Two parts, base weights 1, T = 1: halved and unchanged, so the weights are 2 exp(.5), 2 exp(1) over their sum
    balancer = build('DWABalancer', parts=['coord', 'cls'], base_weights=None, interval=1, temperature=1.0)
    for losses in ([2.0, 3.0], [1.0, 3.0], [7.0, 0.1]):
        parts, features = constant_inputs([*losses, 0, 0])
        out = balancer({name: parts[name] for name in ('coord', 'cls')}, features)
    expected = [2 / (1 + math.exp(0.5)), 2 / (1 + math.exp(-0.5))]
    assert weights_of(out, ('coord', 'cls')).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(temperature=0), 'temperature must be > 0, found 0'),
        (dict(interval=0), 'interval must be an integer >= 1, found 0'),
        (dict(interval=2.5), 'interval.*found 2.5'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('DWABalancer', **wrong)

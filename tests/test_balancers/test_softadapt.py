"""SoftAdapt against a plain loop."""

import math

import pytest

from .registry import BASE, PARTS, build, constant_inputs, observe, weights_of

BASE = BASE.tolist()


def literal(losses, beta, rate):
    """The weights of each step, with an interval of 1."""
    weights = [BASE]
    for before, now in zip(losses, losses[1:]):
        differences = [b - a for a, b in zip(before, now)]
        changes = dict(
            ratio=[b / a for a, b in zip(before, now)],
            difference=differences,
            normalized=[value / sum(map(abs, differences)) for value in differences],
        )[rate]
        raw = [base * math.exp(beta * change) for base, change in zip(BASE, changes)]
        weights.append([sum(BASE) * value / sum(raw) for value in raw])
    return weights


@pytest.mark.parametrize('rate', ['ratio', 'difference', 'normalized'])
@pytest.mark.parametrize('beta', [0.1, 1.0, -2.0])
def test_equals_the_literal_formula(rate, beta):
    losses, weights = observe(build('SoftAdaptBalancer', rate=rate, beta=beta), 7)
    for ours, expected in zip(weights, literal(losses, beta, rate)):
        assert ours == pytest.approx(expected, rel=1e-5)


def test_the_fastest_part_gets_the_least_weight_where_all_fall():
    """In the authors' package it gets the most: the sum that they divide by is negative."""
    before, now = [4.0, 3.0, 2.0, 1.0], [2.0, 2.5, 1.8, 0.9]
    balancer = build('SoftAdaptBalancer', rate='normalized', base_weights=dict.fromkeys(PARTS, 1.0))
    for values in (before, now):
        out = balancer(*constant_inputs(values))
    weights = weights_of(out).tolist()
    differences = [b - a for a, b in zip(before, now)]  # -2, -0.5, -0.2, -0.1: the sum is -2.8
    by_magnitude = [math.exp(value / 2.8) for value in differences]
    assert weights == pytest.approx([4 * value / sum(by_magnitude) for value in by_magnitude], rel=1e-5)
    by_sum = [math.exp(value / -2.8) for value in differences]
    assert weights.index(min(weights)) == 0 == by_sum.index(max(by_sum))


def test_an_interval_compares_its_mean_with_the_one_before():
    losses, weights = observe(build('SoftAdaptBalancer', interval=3), 9)
    means = [[sum(column) / 3 for column in zip(*losses[start : start + 3])] for start in (0, 3, 6)]
    expected = literal(means, 1.0, 'ratio')
    # Known with the last step of an interval, kept until the next one ends
    for step, interval in [(4, 0), (5, 1), (7, 1), (8, 2)]:
        assert weights[step] == pytest.approx(expected[interval], rel=1e-5)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(rate='slope'), r"rate must be one of \['ratio', 'difference', 'normalized'\], found 'slope'"),
        (dict(beta=float('inf')), 'beta must be a finite number, found inf'),
        (dict(interval=0), 'interval must be an integer >= 1'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('SoftAdaptBalancer', **wrong)

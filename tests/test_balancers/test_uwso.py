"""UW-SO against its formula."""

import math

import pytest
import torch

from .registry import BASE, build, constant_inputs, observe, weights_of

BASE = BASE.tolist()


@pytest.mark.parametrize('temperature', [0.5, 2.0])
def test_equals_the_literal_formula(temperature):
    losses, weights = observe(build('UWSOBalancer', temperature=temperature), 5)
    for values, ours in zip(losses, weights):
        raw = [base * math.exp(1 / (temperature * value)) for base, value in zip(BASE, values)]
        assert ours == pytest.approx([sum(BASE) * one / sum(raw) for one in raw], rel=1e-5)


def test_by_hand():
    # Two parts, T = 1: exp(1 / 0.5) : exp(1 / 1) = e : 1, of 2 in all
    balancer = build('UWSOBalancer', parts=['coord', 'cls'], base_weights=None)
    parts, _ = constant_inputs([0.5, 1.0, 0, 0])
    out = balancer({name: parts[name] for name in ('coord', 'cls')})
    expected = [2 * math.e / (1 + math.e), 2 / (1 + math.e)]
    assert weights_of(out, ('coord', 'cls')).tolist() == pytest.approx(expected)


def test_it_depends_on_the_unit_of_the_losses_unless_the_temperature_has_it():
    inputs = constant_inputs([0.2, 0.4, 0.6, 0.8])
    scaled = constant_inputs([2.0, 4.0, 6.0, 8.0])
    one, other, third = (
        weights_of(build('UWSOBalancer', temperature=temperature)(*parts))
        for temperature, parts in ((1.0, inputs), (1.0, scaled), (0.1, scaled))
    )
    assert (one - other).abs().max() > 1
    torch.testing.assert_close(one, third)


def test_a_part_that_is_zero_keeps_its_base_weight():
    three = build('UWSOBalancer', parts=['coord', 'obj', 'noobj'], base_weights=dict(coord=5.0, obj=1.0, noobj=0.5))
    parts, _ = constant_inputs([2.0, 0.0, 0.5, 1.0])
    expected = three({name: parts[name] for name in ('coord', 'obj', 'noobj')})
    out = build('UWSOBalancer')(parts)
    torch.testing.assert_close(
        weights_of(out, ('coord', 'obj', 'noobj')), weights_of(expected, ('coord', 'obj', 'noobj'))
    )
    assert out['balance_cls'] == 1


@pytest.mark.parametrize('temperature', [0, -1.0, float('inf'), '1', True])
def test_wrong_temperature(temperature):
    with pytest.raises(ValueError, match=f'UWSOBalancer: temperature must be a number > 0, found {temperature!r}'):
        build('UWSOBalancer', temperature=temperature)

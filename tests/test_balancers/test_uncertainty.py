"""Uncertainty weighting against gradients worked out by hand."""

import math

import pytest
import torch

from .registry import BASE, PARTS, build, constant_inputs, objective, random_inputs, weights_of


def descend(balancer, inputs, steps, lr):
    optimizer = torch.optim.SGD(balancer.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(balancer(*inputs)).backward(retain_graph=True)
        optimizer.step()
    return balancer


def test_several_steps_of_gradient_descent_by_hand():
    # d/ds of lambda (exp(-s) l + s) is lambda (1 - exp(-s) l)
    losses = [0.5, 2.0, 1.0, 3.0]
    s = [0.0] * 4
    for _ in range(5):
        s = [value - 0.05 * base * (1 - math.exp(-value) * loss) for value, base, loss in zip(s, BASE.tolist(), losses)]
    balancer = descend(build('UncertaintyBalancer'), constant_inputs(losses), 5, lr=0.05)
    assert balancer.log_variances.tolist() == pytest.approx(s, rel=1e-5)
    expected = [base * math.exp(-value) for base, value in zip(BASE.tolist(), s)]
    assert weights_of(balancer(*constant_inputs(losses))).tolist() == pytest.approx(expected, rel=1e-5)


def test_the_optimum_is_the_inverse_loss():
    losses = [0.5, 2.0, 1.0, 3.0]
    balancer = descend(build('UncertaintyBalancer'), constant_inputs(losses), 500, lr=0.05)
    out = balancer(*constant_inputs(losses))
    torch.testing.assert_close(weights_of(out), BASE / torch.tensor(losses), rtol=1e-4, atol=0)


def test_the_logged_losses_are_weighted_losses_and_never_negative():
    balancer = build('UncertaintyBalancer', bound=50.0)
    torch.nn.init.constant_(balancer.log_variances, -20.0)  # the value of the regulariser would be -150
    parts, features = random_inputs()
    out = balancer(parts, features)
    for name in PARTS:
        torch.testing.assert_close(out[f'loss_{name}'], out[f'balance_{name}'] * parts[name].mean())
        assert out[f'loss_{name}'] >= 0


def test_weights_stay_within_the_bound_and_come_back_from_it():
    far = descend(build('UncertaintyBalancer', bound=0.5), constant_inputs([1e4] * 4), 10, lr=0.1)
    weights = weights_of(far(*constant_inputs([1e4] * 4)))
    torch.testing.assert_close(weights, BASE * math.exp(-0.5))
    back = descend(far, constant_inputs([0.01] * 4), 40, lr=0.1)
    assert (weights_of(back(*constant_inputs([0.01] * 4))) > BASE).all()


@pytest.mark.parametrize('bound', [0, -1.0, float('nan')])
def test_wrong_bound(bound):
    with pytest.raises(ValueError, match=rf'bound.*must be > 0, found {bound}'):
        build('UncertaintyBalancer', bound=bound)

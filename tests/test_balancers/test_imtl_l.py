"""IMTL-L against gradients worked out by hand."""

import math

import pytest
import torch

from .registry import BASE, build, constant_inputs, objective, weights_of


def test_several_steps_of_gradient_descent_by_hand():
    # d/ds of lambda (exp(s) l - s) is lambda (exp(s) l - 1)
    losses, lr = [0.5, 2.0, 1.0, 3.0], 0.05
    balancer = build('IMTLLBalancer')
    optimizer = torch.optim.SGD(balancer.parameters(), lr=lr)
    s = [0.0] * 4
    for _ in range(5):
        out = balancer(*constant_inputs(losses))
        expected = [base * math.exp(value) for base, value in zip(BASE.tolist(), s)]
        assert weights_of(out).tolist() == pytest.approx(expected, rel=1e-5)
        assert [value.item() for key, value in out.items() if 'loss' in key] == pytest.approx(
            [weight * loss for weight, loss in zip(expected, losses)], rel=1e-5
        )
        s = [value - lr * base * (math.exp(value) * loss - 1) for value, base, loss in zip(s, BASE.tolist(), losses)]
        optimizer.zero_grad()
        objective(out).backward()
        optimizer.step()
    assert balancer.log_scales.tolist() == pytest.approx(s, rel=1e-5)


def test_brings_every_part_to_one():
    losses = [0.5, 2.0, 1.0, 30.0]
    balancer = build('IMTLLBalancer')
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.05)
    for _ in range(1000):
        optimizer.zero_grad()
        objective(balancer(*constant_inputs(losses))).backward()
        optimizer.step()
    weighted = weights_of(balancer(*constant_inputs(losses))) / BASE * torch.tensor(losses)
    torch.testing.assert_close(weighted, torch.ones(4), rtol=1e-3, atol=0)

"""The signal LossRate: parts that fall more slowly than the others."""

import math

import pytest
import torch

from slf_mmdet.slf import LossRate

from ...test_balancers.registry import (
    BASE,
    PARTS,
    build,
    costs_of,
    objective,
    random_features,
    random_parts,
    weights_of,
)


def test_costs_follow_their_formula():
    signal, history = LossRate(4, momentum=0.7), []
    for step in range(5):
        losses = torch.stack(list(random_parts(3, seed=step).values()), dim=1)
        history.append(losses.mean(0))
        ages = [0.7 ** (step - k) for k in range(step + 1)]
        mean = sum(age * value for age, value in zip(ages, history)) / sum(ages)
        torch.testing.assert_close(costs_of(signal, losses), (mean / losses).log() / 7.5)


def test_it_favours_the_part_that_falls_behind():
    signal = dict(type='LossRate', momentum=0.9)
    balancer = build('SLFBalancer', sampler=dict(type='Softmax'), signal=signal, kl_weight=0.1)
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.2)
    for step in range(100):
        parts = {name: torch.tensor(1.0 if name == 'cls' else math.exp(-0.05 * step)) for name in PARTS}
        optimizer.zero_grad()
        out = balancer(parts, random_features())
        objective(out).backward()
        optimizer.step()
    shares = weights_of(out) / BASE
    assert shares[1] > 1.5 and (shares[[0, 2, 3]] < 1).all()


def test_a_part_that_is_zero_has_a_finite_cost():
    assert costs_of(LossRate(4), torch.tensor([1.0, 0.0, 2.0, 3.0])).isfinite().all()


def test_wrong_momentum():
    with pytest.raises(ValueError, match=r'LossRate: momentum must be in \[0, 1\), found -0.5'):
        LossRate(4, momentum=-0.5)

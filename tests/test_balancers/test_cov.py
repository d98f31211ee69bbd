"""CoV-Weighting against statistics over the whole recorded history."""

from statistics import fmean, pstdev

import pytest
import torch
from registry import BASE, build, constant_inputs, observe, weights_of

BASE = BASE.tolist()


def literal(losses):
    """The weights of each step, from all losses up to it."""
    weights = []
    for t in range(len(losses)):
        variation = []
        for i in range(4):
            history = [row[i] for row in losses[: t + 1]]
            ratios = [1.0] + [history[k] / fmean(history[:k]) for k in range(1, t + 1)]
            variation.append(pstdev(ratios) / fmean(ratios))
        raw = [base * value for base, value in zip(BASE, variation)]
        weights.append([sum(BASE) * value / sum(raw) for value in raw] if sum(raw) else BASE)
    return weights


def test_equals_the_literal_formula():
    losses, weights = observe(build('CoVBalancer'), 12)
    for ours, expected in zip(weights, literal(losses)):
        assert ours == pytest.approx(expected, rel=1e-4)


def test_constant_losses_keep_the_base_weights():
    balancer = build('CoVBalancer')
    for _ in range(5):
        out = balancer(*constant_inputs([0.3, 1.7, 0.0, 4.1]))
        torch.testing.assert_close(weights_of(out).tolist(), BASE)


def test_the_part_that_varies_takes_all():
    balancer = build('CoVBalancer')
    for value in (1.0, 2.0, 0.5):
        out = balancer(*constant_inputs([0.3, value, 1.0, 4.0]))
    torch.testing.assert_close(weights_of(out).tolist(), [0.0, sum(BASE), 0.0, 0.0])

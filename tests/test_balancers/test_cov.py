"""CoV-Weighting against statistics over the whole recorded history."""

from statistics import fmean, pstdev

import pytest
import torch

from .registry import BASE, PARTS, build, constant_inputs, observe, weights_of

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


def authors(losses):
    """The weights of each step in the authors' code: by the statistics before it, of which it takes the losses last."""
    weights, mean_loss, mean_ratio, deviation = [], None, [0.0] * 4, [0.0] * 4
    for t, now in enumerate(losses):
        ratios = [1.0] * 4 if t == 0 else [a / b for a, b in zip(now, mean_loss)]
        if t < 2:
            weights.append([1 / 4] * 4)
        else:
            variation = [(s / t + 1e-8) ** 0.5 / m for s, m in zip(deviation, mean_ratio)]
            weights.append([value / sum(variation) for value in variation])
        for i, ratio in enumerate(ratios):
            new = mean_ratio[i] + (ratio - mean_ratio[i]) / (t + 1)
            deviation[i] += (ratio - mean_ratio[i]) * (ratio - new)
            mean_ratio[i] = new
        mean_loss = list(now) if t == 0 else [m + (a - m) / (t + 1) for m, a in zip(mean_loss, now)]
    return weights


def test_weights_are_those_of_the_authors_code_one_step_earlier():
    losses, weights = observe(build('CoVBalancer', base_weights=dict.fromkeys(PARTS, 1.0)), 12)
    theirs = authors(losses)
    for t in range(1, 11):
        assert weights[t] == pytest.approx([4 * value for value in theirs[t + 1]], rel=1e-3), t
    assert weights[0] == [1.0] * 4 and theirs[0] == theirs[1] == [0.25] * 4


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

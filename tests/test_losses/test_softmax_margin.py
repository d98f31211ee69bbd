"""Softmax-margin and smoothed cross-entropy, against literal loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.losses import softmax_margin

SCORES = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.double)
LABELS = torch.tensor([0, 3, 1, 2, 2])


def test_equals_a_literal_loop():
    costs = torch.rand(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    costs[range(5), LABELS] = 0
    expected = []
    for scores, cost, label in zip(SCORES.tolist(), costs.tolist(), LABELS.tolist()):
        total = 0.0
        for s, c in zip(scores, cost):
            total += math.exp(s + c)
        expected.append(-math.log(math.exp(scores[label]) / total))
    torch.testing.assert_close(softmax_margin(SCORES, costs, LABELS), torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize('margin', [0.0, 1.0, 2.5])
def test_every_wrong_class_costs_the_margin(margin):
    loss = MODELS.build(dict(type='SoftmaxMarginLoss', margin=margin, reduction='none'))
    expected = [
        -scores[label] + math.log(sum(math.exp(s + margin * (c != label)) for c, s in enumerate(scores)))
        for scores, label in zip(SCORES.tolist(), LABELS.tolist())
    ]
    expected = torch.tensor(expected, dtype=torch.double)
    torch.testing.assert_close(loss(SCORES, LABELS), expected)
    torch.testing.assert_close(loss(SCORES, F.one_hot(LABELS, 4)), expected)


def test_it_bounds_the_cost_of_a_wrong_decision():
    # The best wrong class costs at most what it is behind the right one, plus its margin
    loss = MODELS.build(dict(type='SoftmaxMarginLoss', margin=3.0, reduction='none'))
    wrong = SCORES.argmax(1) != LABELS
    assert wrong.any() and (loss(SCORES, LABELS)[wrong] >= 3).all()


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_equals_a_literal_loop(smoothing):
    loss = MODELS.build(dict(type='SmoothedCrossEntropyLoss', label_smoothing=smoothing, reduction='none'))
    expected = []
    for scores, label in zip(SCORES.tolist(), LABELS.tolist()):
        total = math.log(sum(math.exp(s) for s in scores))
        q = [smoothing / 4 + (1 - smoothing) * (c == label) for c in range(4)]
        expected.append(sum(share * (total - s) for share, s in zip(q, scores)))
    torch.testing.assert_close(loss(SCORES, LABELS), torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='SoftmaxMarginLoss', margin=-1), 'margin must be a finite number >= 0, found -1'),
        (dict(type='SmoothedCrossEntropyLoss', label_smoothing=1.0), r'label_smoothing must be in \[0, 1\), found 1.0'),
    ],
    ids=str,
)
def test_wrong_settings(cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)

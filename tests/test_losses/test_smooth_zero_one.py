"""The smooth 0-1 loss by hand and in its limits."""

import math

import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.losses import smooth_zero_one

PRED = torch.tensor([[2.0, 0.5, -1.0], [0.3, 0.1, 0.7], [-3.0, -2.0, -2.5]], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 1])


def test_by_hand():
    # margins: 2 - 0.5 = 1.5, 0.1 - 0.7 = -0.6, -2 + 2.5 = 0.5
    expected = [1 / (1 + math.exp(2 * margin)) for margin in (1.5, -0.6, 0.5)]
    assert smooth_zero_one(PRED, LABELS, precision=2.0).tolist() == pytest.approx(expected)


def test_by_hand_with_sigmoid():
    # t = +1 for the true class, -1 for the others
    loss = smooth_zero_one(PRED[:1], torch.tensor([0]), use_sigmoid=True)
    expected = [1 / (1 + math.exp(margin)) for margin in (2.0, -0.5, 1.0)]
    assert loss[0].tolist() == pytest.approx(expected)


def test_tends_to_the_zero_one_loss():
    wrong = (PRED.argmax(1) != LABELS).double()
    torch.testing.assert_close(smooth_zero_one(PRED, LABELS, precision=1e4), wrong)


def test_two_exclusive_classes_are_the_binary_loss_of_their_difference():
    two = PRED[:, :2]
    binary = smooth_zero_one((two[:, 0] - two[:, 1])[:, None], (LABELS == 0).long()[:, None], use_sigmoid=True)
    torch.testing.assert_close(smooth_zero_one(two, LABELS), binary[:, 0])


SOFT = torch.tensor([[0.7, 0.1, 0.2], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize('use_sigmoid', [False, True])
@pytest.mark.parametrize('target', [LABELS, SOFT], ids=['labels', 'soft'])
def test_gradient(use_sigmoid, target):
    loss = lambda pred: smooth_zero_one(pred, target, 1.5, use_sigmoid)  # noqa: E731
    pred = PRED.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, pred)
    assert (torch.autograd.grad(loss(pred).sum(), pred)[0].abs().sum(1) > 0.01).all()


def test_soft_targets_are_the_expectation_over_the_class():
    by_class = torch.stack([smooth_zero_one(PRED, torch.full((3,), label), 2.0) for label in range(3)], dim=1)
    torch.testing.assert_close(smooth_zero_one(PRED, SOFT, 2.0), (SOFT * by_class).sum(1))
    torch.testing.assert_close(smooth_zero_one(PRED, torch.eye(3)[LABELS], 2.0), smooth_zero_one(PRED, LABELS, 2.0))
    # With sigmoid over the two outcomes of each class
    yes, no = (smooth_zero_one(PRED, torch.full((3, 3), value), 2.0, True) for value in (1.0, 0.0))
    torch.testing.assert_close(smooth_zero_one(PRED, SOFT, 2.0, True), SOFT * yes + (1 - SOFT) * no)


def test_soft_target_by_hand():
    # Classes 1 and 2 with probability 1/2 each: margins 2 - 0 and 0 - 2, (0.1192 + 0.8808) / 2
    assert smooth_zero_one(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.5, 0.5]])).item() == pytest.approx(0.5)
    assert smooth_zero_one(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.75, 0.25]])).item() == pytest.approx(
        0.75 / (1 + math.exp(2)) + 0.25 / (1 + math.exp(-2))
    )


def test_module_and_wrong_precision():
    loss = MODELS.build(dict(type='SmoothZeroOneLoss', precision=2.0, loss_weight=3.0))
    torch.testing.assert_close(loss(PRED, LABELS, avg_factor=2), 3 * smooth_zero_one(PRED, LABELS, 2.0).sum() / 2)
    with pytest.raises(ValueError, match='precision .* must be > 0, found 0'):
        MODELS.build(dict(type='SmoothZeroOneLoss', precision=0))

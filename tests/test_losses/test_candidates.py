"""The five candidates against hand-computed values and plain NumPy."""

import math

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.losses import candidates

from . import numpy_losses

CLASSES = dict(
    mean_squared_error='ClassMSELoss',
    mean_absolute_error='ClassMAELoss',
    categorical_hinge='CategoricalHingeLoss',
    cosine_proximity='CosineProximityLoss',
    probability_cross_entropy='ProbabilityCrossEntropyLoss',
)
by_name = pytest.mark.parametrize('name', CLASSES)
both_activations = pytest.mark.parametrize('use_sigmoid', [False, True])
PER_ELEMENT = ('mean_squared_error', 'mean_absolute_error', 'probability_cross_entropy')


def logits(rows=6, classes=4, scale=3.0, seed=0):
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


LABELS = torch.tensor([0, 3, 1, 2, 2, 0])


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        # logits (log 3, 0) give p = (3/4, 1/4); the class is the second: y = (0, 1)
        ('mean_squared_error', [9 / 16, 9 / 16]),
        ('mean_absolute_error', [3 / 4, 3 / 4]),
        ('categorical_hinge', 1 + 3 / 4 - 1 / 4),
        ('cosine_proximity', 1 - 1 / math.sqrt(10)),
        ('probability_cross_entropy', [math.log(4), math.log(4)]),
    ],
)
def test_by_hand(name, expected):
    loss = getattr(candidates, name)(torch.tensor([[math.log(3), 0.0]]), torch.tensor([1]))
    torch.testing.assert_close(loss, torch.tensor([expected]))


@by_name
@both_activations
def test_equals_numpy(name, use_sigmoid):
    pred = logits()
    expected = np.stack([numpy_losses.candidate(name, p, y, use_sigmoid) for p, y in zip(pred.numpy(), LABELS)])
    np.testing.assert_allclose(getattr(candidates, name)(pred, LABELS, use_sigmoid), expected, rtol=1e-6)


@by_name
@both_activations
def test_gradient(name, use_sigmoid):
    loss = getattr(candidates, name)
    assert torch.autograd.gradcheck(lambda pred: loss(pred, LABELS, use_sigmoid), logits().requires_grad_())


@by_name
@both_activations
def test_class_index_and_one_hot_are_the_same_and_background_is_a_row_of_zeros(name, use_sigmoid):
    loss, pred = getattr(candidates, name), logits()
    labels = torch.tensor([0, 3, 1, 4, 4, 0])
    one_hot = torch.eye(5)[labels][:, :4]
    torch.testing.assert_close(loss(pred, labels, use_sigmoid), loss(pred, one_hot, use_sigmoid))


@by_name
@both_activations
@pytest.mark.parametrize('size', [1e2, 1e4])
def test_saturated_predictions_have_finite_losses_and_gradients(name, use_sigmoid, size):
    pred = torch.tensor([[size, 0.0, -size], [-size, size, size], [0.0, 0.0, 0.0]], requires_grad=True)
    loss = getattr(candidates, name)(pred, torch.tensor([2, 0, 1]), use_sigmoid)
    (grad,) = torch.autograd.grad(loss.sum(), pred)
    assert torch.isfinite(loss).all() and torch.isfinite(grad).all()


def test_cross_entropy_still_pulls_at_a_confident_mistake():
    # Softmax: d/dz_0 of -log p_1 - log(1 - p_0) is p_0 + p_0 = 2 for p_0 = 1, where log(1 - p) in fp32 is lost
    pred = torch.tensor([[100.0, 0.0]], requires_grad=True)
    candidates.probability_cross_entropy(pred, torch.tensor([1])).sum().backward()
    torch.testing.assert_close(pred.grad, torch.tensor([[2.0, -2.0]]))


@by_name
def test_averages_as_mmdet_does(name):
    pred = logits()
    elements = getattr(candidates, name)(pred, LABELS)
    assert elements.dim() == (2 if name in PER_ELEMENT else 1)
    loss = MODELS.build(dict(type=CLASSES[name], loss_weight=2.0))
    weight = torch.tensor([1.0, 0.0, 2.0, 1.0, 0.5, 1.0])
    by_sample = elements.sum(1) if elements.dim() == 2 else elements
    torch.testing.assert_close(loss(pred, LABELS), 2 * elements.mean())
    torch.testing.assert_close(loss(pred, LABELS, weight, avg_factor=3), 2 * (by_sample * weight).sum() / 3)
    torch.testing.assert_close(loss(pred, LABELS, weight, reduction_override='sum'), 2 * (by_sample * weight).sum())
    assert loss(pred, LABELS, reduction_override='none').shape == elements.shape
    per_class = weight[:, None].expand(6, 4)  # weights of each class that are equal are a weight of the sample
    torch.testing.assert_close(loss(pred, LABELS, per_class, avg_factor=3), loss(pred, LABELS, weight, avg_factor=3))


@by_name
def test_half_precision_is_computed_in_fp32(name):
    loss = MODELS.build(dict(type=CLASSES[name]))
    pred = logits().half()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert loss(pred, LABELS).dtype == torch.float32
        torch.testing.assert_close(loss(pred, LABELS), loss(pred.float(), LABELS))


def test_wrong_reduction():
    with pytest.raises(ValueError, match=r"ClassMSELoss: reduction must be one of .*found 'avg'"):
        MODELS.build(dict(type='ClassMSELoss', reduction='avg'))

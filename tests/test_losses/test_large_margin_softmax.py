"""The margin of large-margin softmax against its definition with an arc cosine."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.losses import large_margin_logits

from . import numpy_losses

C, D = 4, 3


def inputs(rows=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, D, generator=generator, dtype=torch.float64)
    weight = torch.randn(C, D, generator=generator, dtype=torch.float64)
    return features, weight, torch.randint(C, (rows,), generator=generator)


@pytest.mark.parametrize('margin', [1, 2, 3, 4])
def test_equals_the_definition(margin):
    features, weight, target = inputs()
    logits = large_margin_logits(features, weight, target, margin)
    expected = F.linear(features, weight)
    for row, label in enumerate(target.tolist()):
        expected[row, label] = numpy_losses.large_margin_logit(features[row].numpy(), weight[label].numpy(), margin)
    torch.testing.assert_close(logits, expected)


def test_by_hand():
    # x and w of length 2 and 3 at 90 degrees, m = 2: psi(pi / 2) = cos(pi) - 0 = -1 (the end of the first piece)
    logits = large_margin_logits(torch.tensor([[0.0, 2.0]]), torch.tensor([[3.0, 0.0]]), torch.tensor([0]), margin=2)
    assert logits.item() == pytest.approx(-6.0)


def test_margin_lowers_the_true_class_only_and_more_with_a_larger_margin():
    features, weight, target = inputs()
    is_true = F.one_hot(target, C).bool()
    before = F.linear(features, weight)
    for margin in (2, 3, 4):
        after = large_margin_logits(features, weight, target, margin)
        assert (after[is_true] <= before[is_true] + 1e-12).all()
        torch.testing.assert_close(after[~is_true], F.linear(features, weight)[~is_true])
        before = after


def test_margin_of_one_is_plain_softmax():
    features, weight, target = inputs()
    torch.testing.assert_close(large_margin_logits(features, weight, target, 1), F.linear(features, weight))


@pytest.mark.parametrize('margin', [2, 3, 4])
def test_gradient(margin):
    features, weight, target = inputs(rows=12)
    run = lambda x, w: large_margin_logits(x, w, target, margin, plain_share=0.2)  # noqa: E731
    assert torch.autograd.gradcheck(run, (features.requires_grad_(), weight.requires_grad_()))


def test_a_feature_of_zeros_and_parallel_features_have_finite_gradients():
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0]], requires_grad=True)
    large_margin_logits(features, weight, torch.tensor([0, 0, 0]), 4).sum().backward()
    assert torch.isfinite(features.grad).all() and torch.isfinite(weight.grad).all()


@pytest.mark.parametrize('label', [-1, C, 255])
@pytest.mark.parametrize('margin', [1, 2])
def test_labels_out_of_range(label, margin):
    features, weight, target = inputs()
    target[3] = label
    with pytest.raises(ValueError, match=f'Class labels must be from 0 to {C - 1}, found {label}'):
        large_margin_logits(features, weight, target, margin)


def test_an_empty_batch():
    layer = MODELS.build(dict(type='LargeMarginLinear', in_features=D, out_features=C))
    assert layer(torch.zeros(0, D), torch.zeros(0, dtype=torch.long)).shape == (0, C)


def test_layer_is_linear_without_a_target_and_annealed_with_one():
    schedule = dict(value=3.0, schedulers=[dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.0, end=4)])
    layer = MODELS.build(dict(type='LargeMarginLinear', in_features=D, out_features=C, annealing=schedule))
    features, _, target = (value.float() if value.is_floating_point() else value for value in inputs())
    torch.testing.assert_close(layer(features), F.linear(features, layer.weight))
    # lambda 3, 2, 1, 0 over the steps: shares 3/4, 2/3, 1/2, 0 of the plain logit
    for share in (3 / 4, 2 / 3, 1 / 2, 0):
        expected = large_margin_logits(features, layer.weight, target, 2, share)
        torch.testing.assert_close(layer(features, target), expected)
    resumed = MODELS.build(dict(type='LargeMarginLinear', in_features=D, out_features=C, annealing=schedule))
    resumed.load_state_dict(layer.state_dict())
    assert resumed.annealing.at(resumed.counter.value) == pytest.approx(0)


def test_initial_weights_are_those_of_a_linear_layer():
    weight = MODELS.build(dict(type='LargeMarginLinear', in_features=400, out_features=C)).weight
    assert weight.abs().max().item() == pytest.approx(1 / math.sqrt(400), rel=0.05)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(margin=0), 'margin .* must be an integer >= 1, found 0'),
        (dict(margin=1.5), 'found 1.5'),
        (dict(annealing=-1.0), 'annealing .* must be >= 0, found -1.0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='LargeMarginLinear', in_features=2, out_features=2, **wrong))

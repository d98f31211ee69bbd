"""The bi-tempered loss against root finding in SciPy and numeric gradients, and the NaN that others are known for."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.losses import bi_tempered, binary_bi_tempered
from slf_mmdet.losses.bi_tempered import tempered_log_softmax

from . import numpy_losses

TEMPERATURES = [(0.8, 1.2), (0.2, 4.0), (0.5, 1.0), (1.0, 1.5), (0.0, 2.0), (0.5, 0.9), (0.9, 1.0001)]
PRED = torch.tensor([[1.5, -0.5, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0], [-8.0, 5.0, 2.0, 4.5]], dtype=torch.float64)
LABELS = torch.tensor([0, 2, 1])
by_temperature = pytest.mark.parametrize(('t1', 't2'), TEMPERATURES)


def test_uniform_by_hand():
    # Equal logits of two classes: p = 1/2 whatever t2. With t1 = 0: log_0 x = x - 1, so the loss is
    # (1 - 1) - (1/2 - 1) - (1 - 1/4 - 1/4) / 2 = 1/2 - 1/4
    loss = bi_tempered(torch.zeros(1, 2), torch.tensor([0]), t1=0.0, t2=1.7)
    assert loss.item() == pytest.approx(0.25)


@by_temperature
def test_equals_scipy(t1, t2):
    expected = [
        numpy_losses.bi_tempered(row.tolist(), torch.eye(4)[label].tolist(), t1, t2) for row, label in zip(PRED, LABELS)
    ]
    assert bi_tempered(PRED, LABELS, t1, t2).tolist() == pytest.approx(expected, rel=1e-6)


@by_temperature
def test_equals_scipy_with_soft_targets(t1, t2):
    target = torch.tensor([[0.7, 0.1, 0.2, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.5, 0.0, 0.5]], dtype=torch.float64)
    expected = [numpy_losses.bi_tempered(p.tolist(), y.tolist(), t1, t2) for p, y in zip(PRED, target)]
    assert bi_tempered(PRED, target, t1, t2).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@by_temperature
def test_gradient(t1, t2):
    # Away from where a probability of t2 < 1 becomes 0, which has a kink
    pred = (PRED / 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: bi_tempered(x, LABELS, t1, t2), pred)
    target = torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: binary_bi_tempered(x, target, t1, t2), pred)


# Away from where a probability of t2 < 1 becomes 0; with t1 = t2 = 0.5 some are
SECOND_ORDER = [*TEMPERATURES, (0.5, 0.5), (1.0, 1.0)]


@pytest.mark.parametrize(('t1', 't2'), SECOND_ORDER)
def test_second_order(t1, t2):
    pred = (PRED / 4).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: bi_tempered(x, LABELS, t1, t2), pred)
    target = torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda x: binary_bi_tempered(x, target, t1, t2), pred)


@pytest.mark.parametrize(('t1', 't2'), SECOND_ORDER)
def test_hessian_equals_differences_of_scipy(t1, t2):
    """Of root finding in double precision: the step leaves an error of 1e-4 of the largest entry."""
    row, step = PRED[0] / 4, 1e-3

    def loss(*shifts):
        shifted = row.clone()
        for index, sign in shifts:
            shifted[index] += sign * step
        return numpy_losses.bi_tempered(shifted.tolist(), [1.0, 0.0, 0.0, 0.0], t1, t2)

    expected = torch.zeros(4, 4, dtype=torch.float64)
    for i in range(4):
        for j in range(4):
            signs = [(a, b) for a in (1, -1) for b in (1, -1)]
            expected[i, j] = sum(a * b * loss((i, a), (j, b)) for a, b in signs) / (4 * step**2)
    found = torch.autograd.functional.hessian(lambda x: bi_tempered(x, torch.tensor(0), t1, t2), row)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4 * expected.abs().max().item() + 1e-5)


def test_second_order_in_a_step_with_a_gradient_penalty():
    """The norm of a gradient as a loss: it was silently a constant."""
    pred = PRED.clone().requires_grad_()
    (grad,) = torch.autograd.grad(bi_tempered(pred, LABELS).sum(), pred, create_graph=True)
    (penalty,) = torch.autograd.grad(grad.square().sum(), pred)
    torch.testing.assert_close(
        penalty, 2 * torch.autograd.functional.hvp(lambda x: bi_tempered(x, LABELS).sum(), PRED, grad.detach())[1]
    )
    assert (penalty != 0).any()


@pytest.mark.parametrize('t', [0.3, 0.5, 0.9, 1.0, 1.2, 3.0])
def test_probabilities_are_differentiable(t):
    def p(x):
        return tempered_log_softmax(x, t).exp()

    pred = (PRED / 4).requires_grad_()
    assert torch.autograd.gradcheck(p, pred) and torch.autograd.gradgradcheck(p, pred)


def test_derivatives_where_a_probability_is_0():
    pred = torch.tensor([[5.0, 0.0, 4.9]], requires_grad=True)  # t2 = 0.5: p_2 = 0
    assert tempered_log_softmax(pred, 0.5)[0, 1] == -math.inf
    loss = bi_tempered(pred, torch.tensor([0]), 0.5, 0.5).sum()
    (grad,) = torch.autograd.grad(loss, pred, create_graph=True)
    (second,) = torch.autograd.grad(grad[0, 0], pred)
    assert grad.isfinite().all() and second.isfinite().all() and second[0, 1] == 0 != second[0, 0]


# Figures of the tests of the authors' TensorFlow code (google/bi-tempered-loss)
AUTHORS_PRED = torch.tensor([[-0.5, 0.1, 2.0], [0.1, 1.5, -5.0], [4.0, -3.0, -6.0]])


def test_equals_the_published_values():
    soft = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0]])
    for t2, expected in ((1.5, [0.02301914, 0.18972909, 0.93874922]), (0.8, [0.21646356, 0.41836615, 1.33997854])):
        assert bi_tempered(AUTHORS_PRED, soft, 0.5, t2).tolist() == pytest.approx(expected, abs=1e-5)
    smoothed = bi_tempered(AUTHORS_PRED, torch.arange(3), 0.5, 1.5, label_smoothing=0.1)
    assert smoothed.tolist() == pytest.approx([0.76652711, 0.08627685, 1.35443510], abs=1e-5)


@by_temperature
def test_label_smoothing_is_a_soft_target(t1, t2):
    # 0.2 of the target in equal parts to the three other classes, or to the other one of two outcomes
    target = torch.full((3, 4), 0.2 / 3, dtype=torch.float64).scatter(1, LABELS.unsqueeze(1), 0.8)
    for reduction in ('none', 'mean'):
        config = dict(type='BiTemperedLoss', t1=t1, t2=t2, label_smoothing=0.2, reduction=reduction)
        expected = MODELS.build(dict(config, label_smoothing=0.0))(PRED, target)
        torch.testing.assert_close(MODELS.build(config)(PRED, LABELS), expected)
    binary = MODELS.build(dict(config, use_sigmoid=True, reduction='none'))(PRED, LABELS)
    expected = binary_bi_tempered(PRED, 0.2 + 0.6 * F.one_hot(LABELS, 4), t1, t2)
    torch.testing.assert_close(binary, expected)


def test_temperatures_of_one_are_cross_entropy():
    torch.testing.assert_close(bi_tempered(PRED, LABELS, 1.0, 1.0), F.cross_entropy(PRED, LABELS, reduction='none'))
    target = F.one_hot(LABELS, 4).double()
    expected = F.binary_cross_entropy_with_logits(PRED, target, reduction='none')
    torch.testing.assert_close(binary_bi_tempered(PRED, target, 1.0, 1.0), expected)


def test_temperatures_near_one_are_near_cross_entropy():
    near = bi_tempered(PRED, LABELS, 1 - 1e-6, 1 + 1e-6)
    torch.testing.assert_close(near, F.cross_entropy(PRED, LABELS, reduction='none'), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('t', [0.2, 0.5, 0.999, 1.001, 1.2, 2.0, 4.0, 10.0])
@pytest.mark.parametrize('classes', [2, 1000])
def test_probabilities_are_normalised_at_any_scale(t, classes):
    torch.manual_seed(0)
    for scale in (0.0, 0.1, 1.0, 30.0, 1e4):
        p = tempered_log_softmax(scale * torch.randn(8, classes), t).exp()
        torch.testing.assert_close(p.sum(-1), torch.ones(8), atol=5e-5, rtol=0)


@by_temperature
@pytest.mark.parametrize('size', [1e2, 1e4])
def test_never_nan(t1, t2, size):
    pred = torch.tensor([[size, -size, 0.0], [-size, -size, size], [size, size, size]], requires_grad=True)
    for loss in (bi_tempered(pred, torch.tensor([1, 0, 2]), t1, t2), binary_bi_tempered(pred, torch.eye(3), t1, t2)):
        (grad,) = torch.autograd.grad(loss.sum(), pred)
        assert torch.isfinite(loss).all() and torch.isfinite(grad).all()


def test_an_outlier_costs_no_more_than_the_bound():
    loss = bi_tempered(torch.tensor([[1e4, 0.0]]), torch.tensor([1]), t1=0.5, t2=1.2)
    assert 1.9 < loss.item() <= 1 / (1 - 0.5)


def test_any_leading_shape():
    pred, labels = PRED.view(1, 3, 1, 4).expand(2, 3, 5, 4), LABELS.view(1, 3, 1).expand(2, 3, 5)
    loss = bi_tempered(pred, labels)
    assert loss.shape == (2, 3, 5)
    torch.testing.assert_close(loss[1, :, 4], bi_tempered(PRED, LABELS))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_half_precision(dtype, use_sigmoid):
    loss = MODELS.build(dict(type='BiTemperedLoss', use_sigmoid=use_sigmoid))
    pred = PRED.to(dtype)
    torch.testing.assert_close(loss(pred, LABELS), loss(pred.float(), LABELS))
    assert math.isfinite(loss(pred * 1000, LABELS).item())


def test_sigmoid_takes_mmdets_background():
    loss = MODELS.build(dict(type='BiTemperedLoss', use_sigmoid=True, reduction='none'))
    expected = binary_bi_tempered(PRED, torch.zeros(3, 4))
    torch.testing.assert_close(loss(PRED, torch.full((3,), 4)), expected)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(t1=1.2), r't1 must be in \[0, 1\], found 1.2'),
        (dict(t1=-0.1), 't1.*found -0.1'),
        (dict(t1=0.8, t2=0.5), r't2 must be > 0 and >= t1=0.8, found 0.5'),
        (dict(t1=0.0, t2=0.0), 't2.*found 0.0'),
        (dict(label_smoothing=1.0), r'label_smoothing must be in \[0, 1\), found 1.0'),
        (dict(label_smoothing=-0.1), 'label_smoothing.*found -0.1'),
        (dict(label_smoothing='yes'), "label_smoothing.*found 'yes'"),
    ],
)
def test_wrong_temperatures(wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='BiTemperedLoss', **wrong))

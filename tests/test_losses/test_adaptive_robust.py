"""The robust loss in its named special cases, its density against SciPy's integral, and what it learns."""

import math

import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.losses import AdaptiveRobustLoss, general_robust, robust_nll
from slf_mmdet.losses.adaptive_robust import log_partition

from . import numpy_losses

X = torch.tensor([-3.0, -0.5, 0.0, 0.1, 1.0, 20.0], dtype=torch.float64)
SPECIAL = {
    2.0: lambda z: z / 2,  # squared error
    1.0: lambda z: (z + 1).sqrt() - 1,  # Charbonnier
    0.0: lambda z: (z / 2 + 1).log(),  # Cauchy
    -2.0: lambda z: 2 * z / (z + 4),  # Geman-McClure
    -math.inf: lambda z: 1 - (-z / 2).exp(),  # Welsch
}


@pytest.mark.parametrize('alpha', SPECIAL)
@pytest.mark.parametrize('scale', [1.0, 0.3])
def test_special_cases(alpha, scale):
    torch.testing.assert_close(general_robust(X, alpha, scale), SPECIAL[alpha]((X / scale) ** 2))


# Zero and two are limits of the formula, infinities others; a learnt alpha may come near any of them
ALPHAS = [-math.inf, -1e9, -5.0, -0.7, -1e-3, -1e-7, 0.0, 1e-30, 1e-6, 1e-4, 0.4, 1.3, 1.9, 1.985, 1.99, 1.995, 1.9999]
ALPHAS += [2.0, 2.0001, 2.02, 3.5, math.inf]
RESIDUALS = [0.0, 1e-3, -0.3, 1.0, 5.0]
PRECISION = [(torch.float32, 4e-6), (torch.float64, 1e-11)]


@pytest.mark.parametrize(('dtype', 'rel'), PRECISION)
def test_any_alpha_equals_the_formula_in_60_digits(dtype, rel):
    alpha = torch.tensor(ALPHAS, dtype=dtype).unsqueeze(1)
    residual = torch.tensor(RESIDUALS, dtype=dtype)
    found = general_robust(residual, alpha)
    for row, value in zip(found.tolist(), alpha.squeeze(1).tolist()):
        expected = [numpy_losses.general_robust(x, value) for x in residual.tolist()]
        assert row == pytest.approx(expected, rel=rel, abs=1e-15), value
        assert general_robust(residual, value).tolist() == row  # a number and a tensor are the same
    torch.testing.assert_close(general_robust(residual, alpha, 0.7), general_robust(residual / 0.7, alpha))


@pytest.mark.parametrize(('dtype', 'rel'), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_derivative_by_alpha_equals_a_difference_in_60_digits(dtype, rel):
    finite = [alpha for alpha in ALPHAS if -1e6 < alpha < 1e6 and alpha != 2]
    alpha = torch.tensor(finite, dtype=dtype).unsqueeze(1).expand(-1, 3).clone().requires_grad_()
    residual = torch.tensor([0.3, 1.0, 5.0], dtype=dtype)
    (grad,) = torch.autograd.grad(general_robust(residual, alpha).sum(), alpha)
    for row, value in zip(grad.tolist(), alpha[:, 0].tolist()):
        expected = [numpy_losses.general_robust_slope(x, value) for x in residual.tolist()]
        assert row == pytest.approx(expected, rel=rel, abs=3e-7 if dtype == torch.float32 else 1e-12), value


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_every_derivative_is_finite_where_the_value_is(dtype):
    alpha = torch.tensor(ALPHAS, dtype=dtype).unsqueeze(1).requires_grad_()
    residual = torch.tensor([*RESIDUALS, 1e-20, 12.0], dtype=dtype, requires_grad=True)
    scale = torch.tensor(1.0, dtype=dtype, requires_grad=True)
    for grad in torch.autograd.grad(general_robust(residual, alpha, scale).sum(), (residual, alpha, scale)):
        assert grad.isfinite().all()
    large = torch.full((1,), 1e12, dtype=dtype, requires_grad=True)  # of an outlier: where alpha > 2 it overflows
    robust = alpha[alpha.detach() <= 2]
    for grad in torch.autograd.grad(general_robust(large, robust).sum(), (large, alpha)):
        assert grad.isfinite().all()


def test_at_2_the_derivative_is_large_since_it_is_infinite():
    alpha = torch.tensor([1.99999, 2.0, 2.00001], requires_grad=True)
    (grad,) = torch.autograd.grad(general_robust(torch.tensor(1.0), alpha).sum(), alpha)
    assert grad[1] > grad[0] > 2 and grad[1] > grad[2] > 2


@pytest.mark.parametrize(('dtype', 'error'), [(torch.float32, 4e-7), (torch.float64, 1e-8)])
@pytest.mark.parametrize('alpha', [0.0, 1e-4, 0.003, 0.01, 0.03, 0.3, 1.0, 1.5, 1.9, 1.985, 1.99, 1.9999, 2.0])
def test_partition_function_equals_scipy(alpha, dtype, error):
    """The errors are those that the docstring states."""
    shape = torch.tensor([alpha], dtype=dtype, requires_grad=True)
    found = log_partition(shape)
    assert found.item() == pytest.approx(numpy_losses.log_partition(shape.item()), abs=error)
    if 0 < alpha < 1.999:
        (grad,) = torch.autograd.grad(found.sum(), shape)
        step = min(alpha, 2 - alpha, 1.0) * 1e-3
        low, high = (numpy_losses.log_partition(shape.item() + sign * step) for sign in (-1, 1))
        error = 4e-5 if dtype == torch.float32 else 2e-6
        assert grad.item() == pytest.approx((high - low) / (2 * step), abs=error)


def test_partition_function_of_known_densities():
    # alpha = 2 is the normal density, alpha = 0 a Cauchy density of scale sqrt(2)
    found = log_partition(torch.tensor([2.0, 0.0], dtype=torch.float64))
    expected = [math.log(math.sqrt(2 * math.pi)), math.log(math.pi * math.sqrt(2))]
    assert found.tolist() == pytest.approx(expected, abs=1e-8)


def test_gradient():
    alpha = torch.tensor([0.2, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    residual = torch.tensor([[0.3, -2.0, 0.0], [4.0, 0.1, -1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(robust_nll, (residual, alpha, scale))
    assert torch.autograd.gradcheck(general_robust, (residual, alpha, scale))
    assert torch.autograd.gradgradcheck(robust_nll, (residual, alpha, scale))


def test_learns_scale_of_clean_and_shape_of_contaminated_residuals():
    torch.manual_seed(0)
    clean = 0.5 * torch.randn(2000)
    contaminated = torch.where(torch.rand(2000) < 0.1, 20 * torch.randn(2000), 0.5 * torch.randn(2000))
    residuals = torch.stack([clean, contaminated], dim=1)
    loss = MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=2))
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss(residuals, torch.zeros_like(residuals)).backward()
        optimizer.step()
    assert loss.alpha[0] > 1.7 > 0.7 > loss.alpha[1]
    assert loss.scale[0].item() == pytest.approx(0.5, rel=0.2)  # a shape below 2 makes it a little smaller


def test_fixed_shape_and_scale_have_no_parameters_and_no_normalisation():
    loss = MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=4, alpha=2.0, scale=1.0, reduction='none'))
    assert not list(loss.parameters())
    pred = torch.rand(3, 4)
    torch.testing.assert_close(loss(pred, torch.zeros(3, 4)), pred.square() / 2)


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_classification(activation):
    loss = MODELS.build(
        dict(type='AdaptiveRobustLoss', num_channels=3, alpha=1.0, scale=1.0, activation=activation, reduction='none')
    )
    p = [0.5, 0.25, 0.25] if activation == 'softmax' else [2 / 3, 0.5, 0.5]
    expected = [math.sqrt((p[0] - 1) ** 2 + 1) - 1] + [math.sqrt(q**2 + 1) - 1 for q in p[1:]]
    found = loss(torch.tensor([[math.log(2), 0.0, 0.0]]), torch.tensor([0]))
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(activation='relu'), "activation must be .*found 'relu'"),
        (dict(scale=0.0), 'scale must be > 0, found 0.0'),
        (dict(alpha=-2.0), r'alpha must be in \[0, 2\] with a learnt scale, found -2.0'),
        (dict(alpha_range=(0.0, 3.0)), r'alpha_range.*found \(0.0, 3.0\)'),
        (dict(alpha=math.nan, scale=1.0), 'alpha must be None or a number, infinities included, found nan'),
        (dict(alpha='2', scale=1.0), "alpha must be None or a number.*found '2'"),
        (dict(initial_scale=0.0), 'initial_scale must be > min_scale > 0, found 0.0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=2, **wrong))


def test_wrong_number_of_channels():
    with pytest.raises(ValueError, match=r'num_channels=4, found predictions of shape \(2, 3\)'):
        MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=4))(torch.zeros(2, 3), torch.zeros(2, 3))


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1000.0])
def test_the_scale_starts_where_it_is_set(scale):
    loss = AdaptiveRobustLoss(1, initial_scale=scale)
    assert loss.scale.item() == pytest.approx(scale, rel=1e-5)

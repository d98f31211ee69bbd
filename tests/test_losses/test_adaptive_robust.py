"""The robust loss in its named special cases, its density against SciPy's integral, and what it learns."""

import math

import numpy_losses
import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.losses import general_robust, robust_nll
from slf_mmdet.losses.adaptive_robust import log_partition

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


@pytest.mark.parametrize('alpha', [0.0, 2.0])
def test_a_learnt_alpha_at_the_singular_shapes_agrees_with_the_limits(alpha):
    learnt = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    loss = general_robust(X, learnt)
    torch.testing.assert_close(loss, SPECIAL[alpha](X**2), rtol=1e-5, atol=1e-7)
    (grad,) = torch.autograd.grad(loss.sum(), learnt)
    assert math.isfinite(grad)


@pytest.mark.parametrize('alpha', [-5.0, -0.7, 0.4, 1.3, 1.9, 3.5])
def test_equals_numpy(alpha):
    expected = [numpy_losses.general_robust(x, alpha, 0.7) for x in X.tolist()]
    assert general_robust(X, alpha, 0.7).tolist() == pytest.approx(expected)
    assert general_robust(X, torch.tensor(alpha), torch.tensor(0.7)).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('alpha', [0.0, 0.01, 0.3, 1.0, 1.5, 1.9, 1.99, 2.0])
def test_partition_function_equals_scipy(alpha):
    found = log_partition(torch.tensor([alpha], dtype=torch.float64))
    assert found.item() == pytest.approx(numpy_losses.log_partition(alpha), abs=1e-4)


def test_partition_function_of_known_densities():
    # alpha = 2 is the normal density, alpha = 0 a Cauchy density of scale sqrt(2)
    found = log_partition(torch.tensor([2.0, 0.0], dtype=torch.float64))
    expected = [math.log(math.sqrt(2 * math.pi)), math.log(math.pi * math.sqrt(2))]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_gradient():
    alpha = torch.tensor([0.2, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    residual = torch.tensor([[0.3, -2.0, 0.0], [4.0, 0.1, -1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(robust_nll, (residual, alpha, scale))
    assert torch.autograd.gradcheck(general_robust, (residual, alpha, scale))


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
        (dict(initial_scale=0.0), 'initial_scale must be > min_scale > 0, found 0.0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=2, **wrong))


def test_wrong_number_of_channels():
    with pytest.raises(ValueError, match=r'num_channels=4, found predictions of shape \(2, 3\)'):
        MODELS.build(dict(type='AdaptiveRobustLoss', num_channels=4))(torch.zeros(2, 3), torch.zeros(2, 3))

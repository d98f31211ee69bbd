"""GraP: its quadratic problem against scipy's general solver and by hand, and the balancer against a literal loop."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from slf_mmdet.balancers import DetectionQuality
from slf_mmdet.balancers.grap import RIDGE, interior_optimum

from .registry import BASE, PARTS, balance, build, constant_inputs, weights_of


def random_problem(seed, size, dim):
    """Cosines of random gradients among each other and with the gradient of what is wanted."""
    directions = np.random.default_rng(seed).normal(size=(size + 1, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = directions @ directions.T
    return cosines[:size, :size], cosines[:size, size]


def solved_by_scipy(cosines, agreement):
    """The maximum of b.u subject to u'(C + ridge) u = 1, u >= 0, as it is stated, from several starts."""
    matrix = cosines + RIDGE * np.eye(len(agreement))
    starts = [np.full(len(agreement), 0.5), *np.eye(len(agreement))]
    results = [
        minimize(
            lambda u: -agreement @ u,
            start,
            jac=lambda u: -agreement,
            bounds=[(0, None)] * len(agreement),
            constraints=[
                dict(type='eq', fun=lambda u: u @ matrix @ u - 1, jac=lambda u: 2 * matrix @ u),
            ],
            method='SLSQP',
            options=dict(maxiter=500, ftol=1e-12),
        )
        for start in starts
    ]
    best = min((result for result in results if result.success), key=lambda result: result.fun)
    return best.x / best.x.sum()


@pytest.mark.parametrize('size', [2, 4, 7])
def test_interior_optimum_is_that_of_a_general_solver(size):
    solved = at_the_bound = 0
    for seed in range(20):
        cosines, agreement = random_problem(seed, size, dim=10)
        if agreement.max() > 0.05:  # else the problem as it is stated has its maximum at 0 or below
            ours = interior_optimum(cosines, agreement)
            np.testing.assert_allclose(ours, solved_by_scipy(cosines, agreement), atol=2e-4)
            solved, at_the_bound = solved + 1, at_the_bound + (ours == 0).any()
    assert solved >= 10 and at_the_bound > 0


def test_parts_of_orthogonal_gradients_count_as_they_agree():
    # C = I: u ~ max(b, 0)
    ours = interior_optimum(np.eye(4), np.array([0.1, 0.3, -0.2, 0.4]))
    np.testing.assert_allclose(ours, np.array([0.1, 0.3, 0.0, 0.4]) / 0.8)


def test_two_parts_that_say_the_same_share_the_weight_of_one():
    cosines = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # The pair's sum s solves (1 + r / 2) s = 0.3 with the ridge r, the third (1 + r) u = 0.3
    pair, third = 0.3 / (1 + RIDGE / 2), 0.3 / (1 + RIDGE)
    expected = np.array([pair / 2, pair / 2, third]) / (pair + third)
    np.testing.assert_allclose(interior_optimum(cosines, np.array([0.3, 0.3, 0.3])), expected)


@pytest.mark.parametrize('agreement', [[0.0, 0.0, 0.0], [-0.2, -0.1, 0.0]])
def test_equal_shares_where_no_part_agrees(agreement):
    np.testing.assert_allclose(interior_optimum(np.eye(3), np.array(agreement)), [1 / 3] * 3)


class Linear:
    """Parts and a quality that are linear in the shared parameters, with other gradients in each step."""

    def __init__(self, dim=12, seed=0):
        self.shared = torch.zeros(dim, requires_grad=True)
        self.generator = torch.Generator().manual_seed(seed)

    def step(self, balancer):
        scale = torch.tensor([1.0, 10.0, 0.1, 3.0]).unsqueeze(1)
        self.gradients = scale * torch.randn(4, len(self.shared), generator=self.generator)
        # losses fall where the quality rises: it agrees with all parts on the whole
        self.wanted = torch.randn(len(self.shared), generator=self.generator) - (self.gradients / scale).sum(0)
        parts = dict(zip(PARTS, (self.gradients @ self.shared + 1).unbind()))
        quality = DetectionQuality(lambda inputs: self.wanted @ inputs[0], [self.shared])
        return weights_of(balancer(parts, shared_parameters=self.shared, detection_quality=quality))


def test_equals_the_literal_formula():
    momentum, problem, balancer = 0.6, Linear(), build('GraPBalancer', momentum=0.6, interval=1)
    matrices, agreements, squares = [], [], []
    for step in range(6):
        weights = problem.step(balancer)
        g, r = problem.gradients.double().numpy(), -problem.wanted.double().numpy()
        norms = np.linalg.norm(g, axis=1)
        matrices.append(g @ g.T / np.outer(norms, norms))
        agreements.append(g @ r / norms / np.linalg.norm(r))
        squares.append(norms**2)
        ages = momentum ** np.arange(step, -1, -1)
        matrix, agreement, square = (np.average(x, 0, ages) for x in (matrices, agreements, squares))
        raw = solved_by_scipy(matrix, agreement) / np.sqrt(square)
        np.testing.assert_allclose(weights.numpy(), 7.5 * raw / raw.sum(), rtol=2e-3, atol=2e-3)
    assert (weights > 0.01).sum() >= 3


def test_of_the_base_weights_only_the_sum_counts():
    one, other = (
        build('GraPBalancer', base_weights=dict(zip(PARTS, base))) for base in ([5, 1, 1, 0.5], [1, 2, 2, 2.5])
    )
    torch.testing.assert_close(Linear().step(one), Linear().step(other))


def test_it_compares_every_few_iterations():
    problem, balancer = Linear(), build('GraPBalancer', interval=3)
    weights = [tuple(problem.step(balancer).tolist()) for _ in range(7)]
    assert weights[0] == weights[1] == weights[2] != weights[3] == weights[4] == weights[5] != weights[6]
    assert weights[0] != tuple(BASE.tolist())


def test_parts_without_a_gradient_keep_their_base_weight():
    parts, features = constant_inputs([1.0] * 4)
    parts['obj'] = torch.tensor(0.0)
    out = balance(build('GraPBalancer'), parts, features)
    # the others have equal norms and agree alike: equal weights, of the 6.5 that they have together
    torch.testing.assert_close(weights_of(out), torch.tensor([6.5 / 3, 6.5 / 3, 1.0, 6.5 / 3]))


@pytest.mark.parametrize(
    ('left_out', 'message'),
    [
        ('shared_parameters', 'GraPBalancer needs `shared_parameters`.*FAMOBalancer the losses alone'),
        ('detection_quality', 'GraPBalancer needs `detection_quality`.*GradNormBalancer needs shared parameters alone'),
    ],
)
def test_what_is_not_offered(left_out, message):
    parts, features = constant_inputs([1.0] * 4)
    given = dict(
        shared_parameters=[features], detection_quality=DetectionQuality(lambda inputs: inputs[0].sum(), [features])
    )
    del given[left_out]
    with pytest.raises(ValueError, match=message):
        build('GraPBalancer')(parts, features, **given)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(momentum=1.0), r'GraPBalancer: momentum must be in \[0, 1\), found 1.0'),
        (dict(interval=0), 'GraPBalancer: interval must be an integer >= 1, found 0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('GraPBalancer', **wrong)


def test_nothing_depends_on_a_part_of_weight_0():
    base_weights = dict(coord=1.0, cls=1.0, obj=0.0, noobj=0.0)
    parts, features = constant_inputs([1.0] * 4)
    parallel = dict(parts, obj=2 + features[0, 0], noobj=(0 * features[0, 3]).log())  # to coord, and -inf
    found = [
        weights_of(balance(build('GraPBalancer', base_weights=base_weights), some, features))
        for some in (parts, parallel)
    ]
    assert found[0].tolist() == found[1].tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0])

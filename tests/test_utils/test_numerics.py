"""Ratios, logarithms and products at their edges."""

import math

import pytest
import torch

from slf_mmdet.utils.numerics import at_least_fp32, clamp_min_eps, log, mean_over_images, ratio, weighted


def test_ratio():
    now = torch.tensor([1.0, 3.0, 0.0, 2.0, 2.0, 1e30, -1.0])
    reference = torch.tensor([2.0, 2.0, 2.0, 0.0, -1.0, 1e-30, 1.0])
    assert ratio(now, reference).tolist() == [0.5, 1.5, 0.0, 1.0, 1.0, 1e6, 0.0]


def test_log():
    values = log(torch.tensor([1.0, math.e, 0.0, -3.0]))
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, math.log(1e-12), math.log(1e-12)]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_clamp_min_eps_can_be_divided_by(dtype):
    values = clamp_min_eps(torch.tensor([0.0, -1.0, 0.5], dtype=dtype))
    tiny = torch.finfo(dtype).tiny
    assert values.tolist() == [tiny, tiny, 0.5]


def test_at_least_fp32():
    found = {dtype: at_least_fp32(torch.ones(1, dtype=dtype)).dtype for dtype in (torch.float16, torch.bfloat16)}
    assert set(found.values()) == {torch.float32}
    assert at_least_fp32(torch.ones(1, dtype=torch.float64)).dtype == torch.float64


def test_weighted_is_the_product():
    weights = torch.tensor([2.0, 0.0, 0.5], requires_grad=True)
    values = torch.tensor([[1.0, 3.0, 4.0], [5.0, 6.0, 7.0]], requires_grad=True)
    product = weighted(weights, values)
    assert product.tolist() == [[2, 0, 2], [10, 0, 3.5]]
    product.sum().backward()
    assert weights.grad.tolist() == [6, 9, 11]  # a weight of 0 learns from finite values
    assert values.grad.tolist() == [[2, 0, 0.5]] * 2


@pytest.mark.parametrize('bad', [math.inf, -math.inf, math.nan])
def test_a_value_of_weight_zero_that_is_not_finite_contributes_exactly_nothing(bad):
    weights = torch.tensor([[2.0, 0.0], [1.0, 3.0]], requires_grad=True)
    values = torch.tensor([[1.0, bad], [5.0, 6.0]], requires_grad=True)
    product = weighted(weights, values)
    assert product.tolist() == [[2, 0], [5, 18]]
    product.sum().backward()
    assert weights.grad.tolist() == [[1, 0], [5, 6]]
    assert values.grad.tolist() == [[2, 0], [1, 3]]


@pytest.mark.parametrize('bad', [math.inf, math.nan])
def test_a_value_that_has_weight_stays_as_bad_as_it_is(bad):
    assert not weighted(torch.tensor([1.0, 1e-30]), torch.tensor([1.0, bad]))[1].isfinite()


def test_mean_over_images():
    assert mean_over_images(torch.tensor([[1.0, 2.0], [3.0, 6.0]])).tolist() == [2, 4]
    assert mean_over_images(torch.tensor([1.0, 2.0])).tolist() == [1, 2]

"""Gradients of the parts, against values by hand."""

import pytest
import torch

from slf_mmdet.balancers.part_gradients import gradient, part_gradients


def test_by_hand():
    a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    parts = [torch.stack([a.sum(), 3 * a.sum()]), torch.stack([(a * b[:2]).sum(), b.sum()])]
    # means over two images: (1 + 3) / 2 for a; (b + 0) / 2, (a + 1) / 2 and 1 / 2 for the last element of b
    expected = [[2.0, 2.0, 0.0, 0.0, 0.0], [0.5, 0.5, 1.0, 1.0, 0.5]]
    assert part_gradients(parts, [a, b]).tolist() == expected
    sum(parts).sum().backward()  # the graph is still there


def test_parts_that_are_scalars():
    a = torch.ones(2, requires_grad=True)
    assert part_gradients([a.sum(), (2 * a).square().sum()], [a]).tolist() == [[1, 1], [8, 8]]


def test_half_precision_becomes_fp32():
    a = torch.ones(2, dtype=torch.float16, requires_grad=True)
    found = gradient(3 * a.sum(), [a])
    assert found.dtype == torch.float32 and found.tolist() == [3, 3]


def test_what_underflows_in_half_precision_is_there():
    a = torch.ones(2, requires_grad=True)
    assert gradient((1e-8 * a.half().float()).sum(), [a]).tolist() == pytest.approx([1e-8, 1e-8], rel=1e-2)


def test_a_part_that_is_not_finite_does_not_reach_the_others():
    a = torch.ones(2, requires_grad=True)
    bad, good = part_gradients([(0 * a).log().sum(), a.sum()], [a])
    assert bad.isnan().all() and good.tolist() == [1, 1]

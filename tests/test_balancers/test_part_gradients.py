"""Gradients of the parts, against values by hand."""

import torch

from slf_mmdet.balancers.part_gradients import gradient, part_gradients


def test_by_hand():
    a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    losses = torch.stack([torch.stack([a.sum(), (a * b[:2]).sum()]), torch.stack([3 * a.sum(), b.sum()])])
    # means over two images: (1 + 3) / 2 for a; (b + 0) / 2, (a + 1) / 2 and 1 / 2 for the last element of b
    expected = [[2.0, 2.0, 0.0, 0.0, 0.0], [0.5, 0.5, 1.0, 1.0, 0.5]]
    assert part_gradients(losses, [a, b]).tolist() == expected
    losses.sum().backward()  # the graph is still there


def test_parts_that_are_scalars():
    a = torch.ones(2, requires_grad=True)
    assert part_gradients(torch.stack([a.sum(), (2 * a).square().sum()]), [a]).tolist() == [[1, 1], [8, 8]]


def test_half_precision_becomes_fp32():
    a = torch.ones(2, dtype=torch.float16, requires_grad=True)
    found = gradient(3 * a.sum(), [a])
    assert found.dtype == torch.float32 and found.tolist() == [3, 3]

"""Ratios and logarithms at their edges."""

import math

import torch

from slf_mmdet.balancers.safe_math import log, ratio


def test_ratio():
    now = torch.tensor([1.0, 3.0, 0.0, 2.0, 2.0, 1e30, -1.0])
    reference = torch.tensor([2.0, 2.0, 2.0, 0.0, -1.0, 1e-30, 1.0])
    assert ratio(now, reference).tolist() == [0.5, 1.5, 0.0, 1.0, 1.0, 1e6, 0.0]


def test_log():
    values = log(torch.tensor([1.0, math.e, 0.0, -3.0]))
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, math.log(1e-12), math.log(1e-12)]))

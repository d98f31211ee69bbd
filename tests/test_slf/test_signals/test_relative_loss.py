"""The signal RelativeLoss: parts relative to their own running means."""

import pytest
import torch

from slf_mmdet.slf import RelativeLoss

from ...test_balancers.registry import costs_of, random_parts


def test_costs_follow_their_formula():
    signal, history = RelativeLoss(4, momentum=0.7), []
    for step in range(5):
        losses = torch.stack(list(random_parts(3, seed=step).values()), dim=1)
        history.append(losses.mean(0))
        ages = [0.7 ** (step - k) for k in range(step + 1)]
        mean = sum(age * value for age, value in zip(ages, history)) / sum(ages)
        torch.testing.assert_close(costs_of(signal, losses), losses / mean / 7.5)


def test_the_unit_of_a_part_does_not_matter():
    units = torch.tensor([1e-3, 1.0, 1e3, 7.0])
    one, other = RelativeLoss(4), RelativeLoss(4)
    for step in range(3):
        losses = torch.stack(list(random_parts(3, seed=step).values()), dim=1)
        torch.testing.assert_close(costs_of(one, losses), costs_of(other, units * losses))


def test_a_part_that_has_always_been_zero():
    assert costs_of(RelativeLoss(4), torch.tensor([1.0, 0.0, 2.0, 3.0]))[1] == 0


def test_wrong_momentum():
    with pytest.raises(ValueError, match=r'RelativeLoss: momentum must be in \[0, 1\), found 1.0'):
        RelativeLoss(4, momentum=1.0)

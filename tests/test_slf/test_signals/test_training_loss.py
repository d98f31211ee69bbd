"""The signal TrainingLoss: what is small gets weight."""

import pytest
import torch

from slf_mmdet.slf import TrainingLoss

from ...test_balancers.registry import BASE, costs_of, random_parts


def test_costs_are_the_losses_without_their_unit():
    losses = torch.stack(list(random_parts(3).values()), dim=1)
    costs = costs_of(TrainingLoss(4), losses)
    base_loss = sum(BASE[i] * losses[k, i] for i in range(4) for k in range(3)) / 3
    torch.testing.assert_close(costs, losses / base_loss)
    assert (BASE * costs).sum(-1).mean().item() == pytest.approx(1)


def test_a_negative_part_counts_by_its_absolute_value_in_the_unit():
    # sum of 5 * 2, 1 * 1, 1 * 0 and 0.5 * 4
    costs = costs_of(TrainingLoss(4), torch.tensor([-2.0, 1.0, 0.0, -4.0]))
    assert costs.tolist() == pytest.approx([-2 / 13, 1 / 13, 0, -4 / 13])


@pytest.mark.parametrize('bad', [float('inf'), float('nan')])
def test_a_part_that_is_not_finite_does_not_count_in_the_unit(bad):
    costs = costs_of(TrainingLoss(4), torch.tensor([2.0, 1.0, bad, 4.0]))
    assert costs[[0, 1, 3]].tolist() == pytest.approx([2 / 13, 1 / 13, 4 / 13])
    assert not costs[2].isfinite()


def test_costs_have_no_graph():
    losses = torch.ones(4, requires_grad=True)
    assert not costs_of(TrainingLoss(4), losses * 1).requires_grad

"""What a decision network minimises, against loops."""

import math

import pytest
import torch

from slf_mmdet.slf import decision_loss

P = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
PRIOR = torch.tensor([0.6, 0.3, 0.1])
SHARES = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])


@pytest.mark.parametrize('costs', [[0.2, -0.4, 1.0], [[0.2, -0.4, 1.0], [0.1, 0.0, -0.3]]], ids=['batch', 'image'])
def test_equals_the_literal_formula(costs):
    by_image = costs if isinstance(costs[0], list) else [costs] * 2
    cost = sum(w * c for row, image in zip(SHARES.tolist(), by_image) for w, c in zip(row, image)) / 2
    kl = sum(p * math.log(p / q) for row in P.tolist() for p, q in zip(row, PRIOR.tolist())) / 2
    ours = decision_loss(SHARES, torch.tensor(costs), P.log(), PRIOR, kl_weight=0.7)
    assert ours.item() == pytest.approx(cost + 0.7 * kl, rel=1e-6)


def test_one_set_of_weights_pays_the_mean_cost_of_the_images():
    costs = torch.tensor([[0.2, -0.4, 1.0], [0.1, 0.0, -0.3]])
    ours = decision_loss(PRIOR.unsqueeze(0), costs, PRIOR.log().unsqueeze(0), PRIOR, kl_weight=0.7)
    assert ours.item() == pytest.approx(0.6 * 0.15 + 0.3 * -0.2 + 0.1 * 0.35, rel=1e-6)


def test_gradient_of_the_kl_term_is_zero_at_the_prior_alone():
    for p, zero in ((PRIOR, True), (torch.tensor([0.5, 0.3, 0.2]), False)):
        logits = p.log().unsqueeze(0).requires_grad_()
        decision_loss(torch.zeros(1, 3), torch.zeros(3), logits.log_softmax(-1), PRIOR, 1.0).backward()
        assert (logits.grad.abs().max() < 1e-7) == zero


@pytest.mark.parametrize('bad', [math.inf, math.nan])
def test_the_cost_of_a_part_without_weight_contributes_nothing_even_if_it_is_not_finite(bad):
    found = []
    for value in (bad, 0.0):
        shares = SHARES.clone().requires_grad_()
        loss = decision_loss(shares, torch.tensor([0.2, value, 1.0]), P.log(), PRIOR, 0.5)
        found.append((loss, *torch.autograd.grad(loss, shares)))
    assert all(torch.equal(one, other) for one, other in zip(*found))
    assert found[0][0].isfinite()

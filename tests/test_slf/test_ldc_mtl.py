"""LDC-MTL against its formula, differentiated by autograd."""

import pytest
import torch

from ..test_balancers.registry import (
    BASE,
    BASE_WEIGHTS,
    PARTS,
    build,
    objective,
    random_features,
    random_inputs,
    weights_of,
)


def literal(balancer, losses, features, discrepancy_weight):
    """The mean over the images of sum_i w_i l_i + mu sum_i |w_i l_i - w_{i+1} l_{i+1}|, and its first term."""
    weighted_sum = discrepancy = 0.0
    for row, x in zip(losses, features.detach()):
        weights = 7.5 * balancer.decision_network(x.unsqueeze(0))[0].exp()
        products = [weight * loss for weight, loss in zip(weights, row)]
        weighted_sum = weighted_sum + sum(products) / len(losses)
        discrepancy = discrepancy + sum((a - b).abs() for a, b in zip(products, products[1:])) / len(losses)
    return weighted_sum + discrepancy_weight * discrepancy, weighted_sum


@pytest.mark.parametrize('mu', [0.0, 0.1, 2.0])
def test_gradients_of_losses_and_router_are_those_of_the_formula(mu):
    balancer = build('LDCMTLBalancer', discrepancy_weight=mu)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    for step in range(3):
        parts, features = random_inputs(seed=step)
        losses = torch.stack([parts[name] for name in PARTS], 1)
        out = balancer(parts, features)
        expected, weighted_sum = literal(balancer, losses, features, mu)
        torch.testing.assert_close(objective(out), weighted_sum)  # the discrepancy has no value in the log
        wanted = [features, *balancer.parameters()]
        grads, expected_grads = (
            torch.autograd.grad(value, wanted, retain_graph=True) for value in (objective(out), expected)
        )
        for ours, theirs in zip(grads, expected_grads):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
            assert theirs.abs().sum() > 0


def test_starts_at_the_base_weights_and_keeps_their_sum():
    balancer = build('LDCMTLBalancer')
    torch.testing.assert_close(weights_of(balancer(*random_inputs())), BASE)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    weights = weights_of(balancer(*random_inputs()))
    assert (weights - BASE).abs().max() > 0.1
    assert weights.sum().item() == pytest.approx(7.5)


def test_a_large_discrepancy_weight_makes_the_weighted_losses_equal():
    losses = torch.tensor([0.5, 1.0, 0.2, 2.0])
    balancer = build('LDCMTLBalancer', discrepancy_weight=10.0)
    optimizer = torch.optim.Adam(balancer.parameters(), lr=0.01)
    for _ in range(300):
        out = balancer(dict(zip(PARTS, losses)), random_features())
        optimizer.zero_grad()
        objective(out).backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group['lr'] *= 0.99
    # equal products: w_i = W / l_i / sum_j 1 / l_j
    expected = 7.5 / losses / (1 / losses).sum()
    torch.testing.assert_close(weights_of(out), expected, rtol=0.05, atol=0)


def test_router_does_not_reach_the_detector_through_the_features():
    features = random_features().requires_grad_()
    balancer = build('LDCMTLBalancer')
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    objective(balancer({name: torch.ones(4) for name in PARTS}, features)).backward()
    assert features.grad is None


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(discrepancy_weight=-1), 'LDCMTLBalancer: discrepancy_weight must be a finite number >= 0, found -1'),
        (dict(discrepancy_weight='1'), "discrepancy_weight must be a finite number >= 0, found '1'"),
        (dict(base_weights=dict(BASE_WEIGHTS, obj=0)), r"LDCMTLBalancer: base_weights\['obj'\] must be > 0, found 0"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('LDCMTLBalancer', **wrong)

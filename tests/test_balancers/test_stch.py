"""Smooth Tchebycheff scalarization, differentiated by autograd."""

import pytest
import torch

from .registry import BASE, PARTS, build, constant_inputs, objective, observe, random_inputs, weights_of


@pytest.mark.parametrize('mu', [0.1, 1.0, 5.0])
def test_gradient_is_that_of_the_soft_maximum(mu):
    balancer = build('STCHBalancer', mu=mu, warmup=4)
    history, weights = observe(balancer, 4)
    assert weights == [BASE.tolist()] * 4
    nadir = torch.tensor(history).mean(0)
    for seed in range(10, 13):
        parts, features = random_inputs(seed=seed)
        losses = torch.stack([parts[name].mean() for name in PARTS])
        soft_maximum = mu * (BASE * ((losses / nadir).log() / mu).exp()).sum().log()
        ours, expected = (
            torch.autograd.grad(loss, features, retain_graph=True)[0]
            for loss in (objective(balancer(parts, features)), soft_maximum)
        )
        torch.testing.assert_close(ours, (BASE * losses).sum().detach() * expected, rtol=1e-4, atol=1e-6)


def test_total_is_that_of_the_base_weights():
    balancer = build('STCHBalancer', warmup=1)
    for seed in range(4):
        parts, features = random_inputs(seed=seed)
        expected = sum(base * parts[name].mean() for name, base in zip(PARTS, BASE))
        torch.testing.assert_close(objective(balancer(parts, features)), expected)


def test_large_mu_is_the_log_transform_and_small_mu_the_maximum():
    def shares(name, **kwargs):
        balancer = build(name, **kwargs)
        balancer(*constant_inputs([1.0, 2.0, 3.0, 4.0]))
        out = balancer(*constant_inputs([0.5, 1.0, 2.7, 2.0]))  # the third fell least
        return torch.stack([out[f'loss_{part}'] for part in PARTS]) / objective(out)

    torch.testing.assert_close(shares('STCHBalancer', warmup=1, mu=1e5), shares('LogBalancer'), rtol=1e-4, atol=0)
    torch.testing.assert_close(shares('STCHBalancer', warmup=1, mu=1e-2), torch.tensor([0.0, 0.0, 1.0, 0.0]))


def test_zero_parts_do_not_count():
    balancer = build('STCHBalancer', warmup=1, mu=0.01)
    balancer(*constant_inputs([1.0, 0.0, 1.0, 1.0]))
    out = balancer(*constant_inputs([0.3, 0.0, 0.3, 0.3]))
    torch.testing.assert_close(weights_of(out), BASE)


def authors_gradients(losses, features, epoch_of, warmup_epoch, mu):
    """Gradients of the objectives in the authors' code, step by step: no base weights, a nadir of one epoch."""
    recorded, gradients = [], []
    for step, values in enumerate(losses):
        if epoch_of(step) <= warmup_epoch:
            objective = values.log().sum()
            if epoch_of(step) == warmup_epoch:
                recorded.append(values.detach())
        else:
            nadir = torch.stack(recorded).mean(0)
            objective = mu * ((values / nadir).log() / mu).exp().sum().log() * len(values)
        gradients.append(torch.autograd.grad(objective, features[step], retain_graph=True)[0])
    return gradients


@pytest.mark.parametrize('mu', [0.5, 2.0])
def test_differences_from_the_authors_code_are_the_documented_ones(mu):
    """Two epochs of warm-up, two steps each, whose second has the same mean losses as both together."""
    equal = dict.fromkeys(PARTS, 1.0)
    balancer = build('STCHBalancer', mu=mu, warmup=4, base_weights=equal)
    inputs = [random_inputs(seed=seed) for seed in (0, 1, 0, 1, 5, 6)]
    losses = [torch.stack([parts[name].mean() for name in PARTS]) for parts, _ in inputs]
    features = [features for _, features in inputs]
    theirs = authors_gradients(losses, features, lambda step: step // 2, warmup_epoch=1, mu=mu)
    for step, (parts, _) in enumerate(inputs):
        (ours,) = torch.autograd.grad(objective(balancer(parts, features[step])), features[step], retain_graph=True)
        if step < 4:  # the sum, not that of the logarithms
            (expected,) = torch.autograd.grad(losses[step].sum(), features[step], retain_graph=True)
        else:
            expected = theirs[step] / len(PARTS) * losses[step].sum().detach()
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(mu=0), 'mu must be > 0, found 0'),
        (dict(warmup=0), 'warmup must be an integer >= 1 .*found 0'),
        (dict(warmup=1.5), 'warmup.*found 1.5'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('STCHBalancer', **wrong)


def test_a_part_that_was_0_in_the_warmup_keeps_its_base_weight():
    balancer = build('STCHBalancer', warmup=2)
    for obj in (0.0, 0.0, 0.5):
        parts, features = constant_inputs([1.0, 1.0, obj, 1.0])
        weights = weights_of(balancer(parts, features))
    assert weights.tolist() == pytest.approx(BASE.tolist())

"""Against TorchJD 0.18: the same random losses, the same gradients.

Ours start at base weights and keep the scale of the total; with base weights of 1, a constant factor remains, which
each test states.
"""

import sys

import pytest
import torch

from .registry import PARTS, build, constant_inputs, objective

pytestmark = pytest.mark.skipif(sys.version_info < (3, 10), reason='TorchJD 0.18 needs Python 3.10')
if sys.version_info >= (3, 10):
    from torchjd import scalarization

STEPS = 8


def losses_of(step):
    return torch.rand(4, generator=torch.Generator().manual_seed(step), dtype=torch.float64) * 3 + 0.1


def ours(name, **kwargs):
    return build(name, base_weights=None, **kwargs).double()


def gradients(balancer, scalarizer, step, transform=lambda values: values):
    """Gradient of either objective with respect to the n losses of a step."""
    parts, features = constant_inputs(losses_of(step))
    (by_features,) = torch.autograd.grad(objective(balancer(parts, features)), features, retain_graph=True)
    values = losses_of(step).requires_grad_()
    (theirs,) = torch.autograd.grad(scalarizer(transform(values)), values)
    return by_features[0, : len(PARTS)], theirs


def close(actual, expected):
    torch.testing.assert_close(actual.double(), expected, rtol=1e-6, atol=1e-6)


def test_static():
    for step in range(STEPS):
        close(*gradients(ours('StaticBalancer'), scalarization.Sum(), step))


def test_dwa():
    balancer, scalarizer = ours('DWABalancer', interval=2), scalarization.DWA()
    for step in range(STEPS):
        close(*gradients(balancer, scalarizer, step))
        if step % 2:
            scalarizer.step()  # the end of an epoch


def test_uncertainty():
    # Ours is twice theirs, so that it starts at weights of 1. Trained at the same learning rate per unit of gradient.
    balancer, scalarizer = ours('UncertaintyBalancer'), scalarization.UW(4).double()
    mine, their = torch.optim.SGD(balancer.parameters(), lr=0.05), torch.optim.SGD(scalarizer.parameters(), lr=0.1)
    train_both(balancer, scalarizer, mine, their, factor=2)
    close(balancer.log_variances, scalarizer.log_var)


def test_imtl_l():
    balancer, scalarizer = ours('IMTLLBalancer'), scalarization.IMTLL(4).double()
    mine, their = (torch.optim.SGD(module.parameters(), lr=0.05) for module in (balancer, scalarizer))
    train_both(balancer, scalarizer, mine, their, factor=1)
    close(balancer.log_scales, scalarizer.log_scale)


def train_both(balancer, scalarizer, mine, their, factor):
    for step in range(STEPS):
        one, other = gradients(balancer, scalarizer, step)
        close(one, factor * other)
        mine.zero_grad()
        their.zero_grad()
        objective(balancer(*constant_inputs(losses_of(step)))).backward()
        scalarizer(losses_of(step)).backward()
        mine.step()
        their.step()


def test_gls():
    # Ours is n times the geometric mean
    for step in range(STEPS):
        one, other = gradients(ours('GLSBalancer'), scalarization.GeometricMean(), step)
        close(one, 4 * other)


def test_famo():
    # Ours is n times theirs, whose weights sum to 1. The losses after the update are those of the next step.
    balancer, scalarizer = ours('FAMOBalancer'), scalarization.FAMO(4).double()
    for step in range(STEPS):
        if step:
            scalarizer.update(losses_of(step))
        one, other = gradients(balancer, scalarizer, step)
        close(one, 4 * other)
    close(balancer.logits, scalarizer._w.detach())
    assert balancer.logits.abs().min() > 0.01


@pytest.mark.parametrize('mu', [0.1, 1.0])
def test_stch(mu):
    # Theirs is the plain scalarization. Ours gives it log(loss / nadir), as the paper's multi-task experiments do, and
    # is scaled to the sum of the losses.
    balancer = ours('STCHBalancer', mu=mu, warmup=1)
    nadir = losses_of(100)
    balancer(*constant_inputs(nadir))
    scalarizer = scalarization.STCH(mu, weights=torch.ones(4, dtype=torch.float64))
    for step in range(STEPS):
        one, other = gradients(balancer, scalarizer, step, lambda values: (values / nadir).log())
        close(one, losses_of(step).sum() * other)


def test_random():
    # The same distribution, up to the factor n, from another generator: here fed with the noise that ours draws.
    balancer, scalarizer = ours('RLWBalancer', seed=1), scalarization.Random()
    for step in range(STEPS):
        seed = balancer.generator.at(step, torch.device('cpu')).initial_seed()
        balancer_gradient, _ = gradients(balancer, scalarization.Sum(), step)
        torch.manual_seed(seed)
        values = losses_of(step).requires_grad_()
        scalarizer(values).backward()
        close(balancer_gradient, 4 * values.grad)

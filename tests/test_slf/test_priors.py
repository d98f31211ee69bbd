"""Where the weights start and what holds them: base weights, equal weights, or gradients of equal norm."""

import pytest
import torch

from slf_mmdet.balancers import Step
from slf_mmdet.slf import BaseWeights, EqualGradientNorms, EqualWeights

from ..test_balancers.registry import BASE, PARTS, build, objective, random_features, weights_of

GRADIENTS = dict(type='EqualGradientNorms', at='shared')
SOFTMAX = dict(type='Softmax')
RATE = dict(type='LossRate')  # a signal that needs the losses alone


def batch(step, scale=(1.0, 10.0, 0.1, 3.0), num_images=3, dim=5):
    """Parts that are linear in a shared vector: part i of image k has the gradient ``scale[i] * g[k, i]``."""
    generator = torch.Generator().manual_seed(step)
    gradients = torch.randn(num_images, len(scale), dim, generator=generator) * torch.tensor(scale).unsqueeze(1)
    shared = torch.zeros(dim, requires_grad=True)
    return gradients @ shared + torch.arange(1.0, 5.0), shared, gradients.mean(0)


def updated(prior, losses, shared, iteration=0):
    prior.update(Step(losses, PARTS, shared_parameters=shared), iteration)
    return prior


def with_norms(*norms):
    """A prior that has seen parts of these gradient norms."""
    shared = torch.zeros(len(norms), requires_grad=True)
    return updated(EqualGradientNorms(BASE, 'shared'), torch.tensor(norms) * shared + 1, shared)


def test_base_weights_are_their_shares():
    assert BaseWeights(BASE).shares().tolist() == pytest.approx([5 / 7.5, 1 / 7.5, 1 / 7.5, 0.5 / 7.5])


def test_equal_weights_are_equal_whatever_the_base_weights():
    assert EqualWeights(BASE).shares().tolist() == [0.25] * 4


def test_equal_gradient_norms_is_the_inverse_root_mean_square_so_far():
    prior, squares = EqualGradientNorms(BASE, 'shared'), []
    for step in range(4):
        losses, shared, gradients = batch(step, (1.0, 3.0, 0.3, 2.0))
        updated(prior, losses, shared, step)
        squares.append([sum(x**2 for x in row) for row in gradients.tolist()])
        inverse = [(sum(part) / len(part)) ** -0.5 for part in zip(*squares)]
        assert prior.shares().tolist() == pytest.approx([value / sum(inverse) for value in inverse], rel=1e-5)


def test_it_does_not_depend_on_the_base_weights_or_on_units():
    """Whatever factor a user has put on a part, weight times gradient comes out the same."""
    products = []
    for scale in ((1.0, 1.0, 1.0, 1.0), (1.0, 5.0, 0.2, 1.0)):
        losses, shared, _ = batch(0, scale)
        prior = updated(EqualGradientNorms(torch.rand(4) + 0.1, 'shared'), losses, shared)
        product = prior.shares() * torch.tensor(scale)
        products.append(product / product.sum())
    torch.testing.assert_close(*products)


def test_parts_without_gradient_keep_their_base_share():
    prior = EqualGradientNorms(BASE, 'shared')
    assert torch.equal(prior.shares(), prior.base_shares)
    losses, shared, _ = batch(0, (1.0, 0.0, 2.0, 0.0))
    shares = updated(prior, losses, shared).shares()
    assert shares.sum().item() == pytest.approx(1)
    assert shares[[1, 3]].tolist() == pytest.approx([1 / 7.5, 0.5 / 7.5])


def test_no_share_is_more_than_a_hundred_times_another():
    shares = with_norms(1e4, 1.0, 1e-4, 3e3).shares()
    assert (shares.max() / shares.min()).item() == pytest.approx(100)
    shares = with_norms(50.0, 1.0, 2.0, 5.0).shares()
    assert (shares.max() / shares.min()).item() == pytest.approx(50)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_batch_that_is_not_finite_is_forgotten(bad):
    prior = with_norms(1.0, 2.0, bad, 4.0)
    assert torch.equal(prior.shares(), prior.base_shares)


def test_it_measures_every_fiftieth_iteration_after_the_first_hundred():
    losses, shared, _ = batch(0)
    prior, measured = EqualGradientNorms(BASE, 'shared'), []
    for iteration in range(97, 220):
        before = prior.sq_grad_norm_mean.count.item()
        updated(prior, losses, shared, iteration)
        if prior.sq_grad_norm_mean.count > before:
            measured.append(iteration)
    assert measured == [97, 98, 99, 100, 150, 200]


@pytest.mark.parametrize(('at', 'which'), [('output', 0), ('shared', 1)])
def test_gradients_are_those_at_the_output_layer_or_at_shared_parameters(at, which):
    losses, output, _ = batch(0)
    shared = torch.ones(4, requires_grad=True)  # by which all parts would be equal
    losses = losses + shared
    prior = EqualGradientNorms(BASE, at)
    prior.update(Step(losses, PARTS, output_parameters=output, shared_parameters=shared), 0)
    expected = updated(EqualGradientNorms(BASE, 'shared'), losses, (output, shared)[which])
    assert torch.equal(prior.shares(), expected.shares())
    ratio = prior.shares().max() / prior.shares().min()
    assert ratio > 10 if at == 'output' else ratio == pytest.approx(1)


def run(balancer, steps):
    for step in steps:
        losses, shared, _ = batch(step)
        out = balancer(dict(zip(PARTS, losses.unbind(1))), random_features(3), shared_parameters=shared)
        objective(out).backward()
    return weights_of(out)


def test_slf_starts_at_its_prior_and_keeps_the_sum_of_the_base_weights():
    balancer = build('SLFBalancer', prior=GRADIENTS, sampler=SOFTMAX, signal=RATE)
    weights = run(balancer, range(1))
    torch.testing.assert_close(weights, 7.5 * balancer.prior.shares())
    assert weights[2] > 5 * weights[0] > 25 * weights[1]  # gradients 0.1, 1 and 10


@pytest.mark.parametrize('prior', [GRADIENTS, dict(type='EqualWeights')], ids=['gradients', 'equal'])
@pytest.mark.parametrize(
    'signal', [dict(type='TrainingLoss'), dict(type='GradientAlignment', target='training_loss', interval=1)]
)
def test_of_the_base_weights_only_the_sum_counts(signal, prior):
    weights = []
    for base in ([5.0, 1.0, 1.0, 0.5], [0.5, 0.5, 1.5, 5.0]):
        sampler = dict(type='MultipleGumbelSoftmax', seed=0)
        balancer = build(
            'SLFBalancer', signal=signal, prior=prior, sampler=sampler, base_weights=dict(zip(PARTS, base))
        )
        optimizer = torch.optim.SGD(balancer.parameters(), lr=0.5)
        for step in range(5):
            optimizer.zero_grad()
            weights_now = run(balancer, [step])
            optimizer.step()
        weights.append(weights_now)
    torch.testing.assert_close(*weights)
    assert (weights[0] - 7.5 * balancer.prior.shares()).abs().max() > 1e-3  # it has learnt something


def test_nothing_is_measured_in_eval_mode():
    balancer = build('SLFBalancer', prior=GRADIENTS, sampler=SOFTMAX, signal=RATE).eval()
    torch.testing.assert_close(run(balancer, range(1)), BASE)


def test_wrong_settings():
    with pytest.raises(ValueError, match=r"EqualGradientNorms: at must be one of \['output', 'shared'\], found 'neck'"):
        EqualGradientNorms(BASE, at='neck')
    choices = r"\['BaseWeights', 'EqualGradientNorms', 'EqualWeights'\]"
    with pytest.raises(ValueError, match=rf"SLFBalancer.prior.type must be one of {choices}, found 'Gradients'"):
        build('SLFBalancer', prior=dict(type='Gradients'))

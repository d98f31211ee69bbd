"""What the weights are held to: the base weights, or gradients of equal size."""

import pytest
import torch
from registry import BASE_WEIGHTS, PARTS, build, objective, random_context

from slf_mmdet.balancers.anchors import Anchor, GradientAnchor

BASE = torch.tensor([BASE_WEIGHTS[name] for name in PARTS])


def batch(step, scale=(1.0, 10.0, 0.1, 3.0), num_images=3, dim=5):
    """Parts that are linear in a shared vector: part i of image k has the gradient ``scale[i] * g[k, i]``."""
    generator = torch.Generator().manual_seed(step)
    gradients = torch.randn(num_images, len(scale), dim, generator=generator) * torch.tensor(scale).unsqueeze(1)
    shared = torch.zeros(dim, requires_grad=True)
    return gradients @ shared + torch.arange(1.0, 5.0), shared, gradients.mean(0)


def test_base_anchor_is_the_shares_of_the_base_weights():
    anchor = Anchor(BASE)
    assert anchor.shares().tolist() == pytest.approx([5 / 7.5, 1 / 7.5, 1 / 7.5, 0.5 / 7.5])
    assert not anchor.due(0)


def test_gradient_anchor_is_the_inverse_root_mean_square_so_far():
    anchor, squares = GradientAnchor(BASE), []
    for step in range(4):
        losses, shared, gradients = batch(step, (1.0, 3.0, 0.3, 2.0))
        anchor.update(anchor.measure(losses, shared))
        squares.append([sum(x**2 for x in row) for row in gradients.tolist()])
        inverse = [(sum(part) / len(part)) ** -0.5 for part in zip(*squares)]
        assert anchor.shares().tolist() == pytest.approx([value / sum(inverse) for value in inverse], rel=1e-5)


def test_it_does_not_depend_on_the_base_weights_or_on_units():
    """Whatever factor a user has put on a part, weight times gradient comes out the same."""
    products = []
    for scale in ((1.0, 1.0, 1.0, 1.0), (1.0, 5.0, 0.2, 1.0)):
        anchor = GradientAnchor(torch.rand(4) + 0.1)
        losses, shared, _ = batch(0, scale)
        anchor.update(anchor.measure(losses, shared))
        product = anchor.shares() * torch.tensor(scale)
        products.append(product / product.sum())
    torch.testing.assert_close(*products)


def test_parts_without_gradient_keep_their_base_share():
    anchor = GradientAnchor(BASE)
    assert torch.equal(anchor.shares(), anchor.base_shares)
    losses, shared, _ = batch(0, (1.0, 0.0, 2.0, 0.0))
    anchor.update(anchor.measure(losses, shared))
    shares = anchor.shares()
    assert shares.sum().item() == pytest.approx(1)
    assert shares[[1, 3]].tolist() == pytest.approx([1 / 7.5, 0.5 / 7.5])


def test_no_share_is_a_hundred_times_another():
    anchor = GradientAnchor(BASE)
    anchor.update(torch.tensor([1e8, 1.0, 1e-8, 1e7]))
    shares = anchor.shares()
    assert (shares.max() / shares.min()).item() == pytest.approx(100)


def test_a_batch_that_is_not_finite_is_forgotten():
    anchor = GradientAnchor(BASE)
    anchor.update(torch.tensor([1.0, 2.0, float('nan'), 4.0]))
    assert torch.equal(anchor.shares(), anchor.base_shares)


def test_it_measures_every_fiftieth_iteration_after_the_first_hundred():
    anchor = GradientAnchor(BASE)
    assert [step for step in range(97, 220) if anchor.due(step)] == [97, 98, 99, 100, 150, 200]


def run(balancer, steps):
    for step in steps:
        losses, shared, _ = batch(step)
        out = balancer(dict(zip(PARTS, losses.unbind(1))), random_context(3), shared=shared)
        objective(out).backward()
    return torch.stack([out[f'balance/{name}'] for name in PARTS])


def test_slf_starts_at_its_anchor_and_keeps_the_sum_of_the_base_weights():
    balancer = build('SLFBalancer', anchor='gradients', sampler='softmax')
    assert balancer.needs_shared
    weights = run(balancer, range(1))
    torch.testing.assert_close(weights, 7.5 * balancer.anchor.shares())
    assert weights[2] > 5 * weights[0] > 25 * weights[1]  # gradients 0.1, 1 and 10


def test_the_output_layer_is_measured_where_there_is_one():
    balancer = build('SLFBalancer', anchor='gradients')
    losses, output_layer, _ = batch(0)
    alike = torch.ones(4, requires_grad=True)  # by which all parts would be equal
    parts = dict(zip(PARTS, (losses + alike).unbind(1)))
    balancer(parts, random_context(3), shared=alike, output_layer=output_layer)
    expected = GradientAnchor(BASE)
    expected.update(expected.measure(losses, output_layer))
    torch.testing.assert_close(balancer.anchor.shares(), expected.shares())
    assert expected.shares().max() > 10 * expected.shares().min()


@pytest.mark.parametrize(
    'objective_', ['joint', dict(type='heldout', reference='base', interval=1)], ids=['joint', 'heldout']
)
def test_of_the_base_weights_only_the_sum_counts(objective_):
    weights = []
    for base in ([5.0, 1.0, 1.0, 0.5], [0.5, 0.5, 1.5, 5.0]):
        settings = dict(objective=objective_, kl_weight=0.5, base_weights=dict(zip(PARTS, base)), seed=0)
        balancer = build('SLFBalancer', anchor='gradients', **settings)
        optimizer = torch.optim.SGD(balancer.parameters(), lr=0.5)
        for step in range(5):
            optimizer.zero_grad()
            weights_now = run(balancer, [step])
            optimizer.step()
        weights.append(weights_now)
    torch.testing.assert_close(*weights)
    assert (weights[0] - 7.5 * balancer.anchor.shares()).abs().max() > 1e-3  # it has learnt something


def test_slf_goes_on_from_a_checkpoint():
    first = build('SLFBalancer', anchor='gradients', seed=0)
    run(first, range(3))
    second = build('SLFBalancer', anchor='gradients', seed=1)
    second.load_state_dict(first.state_dict())
    assert torch.equal(run(second, range(3, 5)), run(first, range(3, 5)))


def test_nothing_is_measured_in_eval_mode():
    balancer = build('SLFBalancer', anchor='gradients', sampler='softmax').eval()
    torch.testing.assert_close(run(balancer, range(1)), BASE)


def test_wrong_settings():
    with pytest.raises(ValueError, match=r"anchor must be one of \['base', 'gradients'\], found 'gradnorm'"):
        build('SLFBalancer', anchor='gradnorm')
    with pytest.raises(ValueError, match="initial must be 'base' with this anchor, found 'uniform'"):
        build('SLFBalancer', anchor='gradients', initial='uniform')

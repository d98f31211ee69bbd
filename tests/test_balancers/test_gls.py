"""The geometric mean, differentiated by autograd."""

import torch

from .registry import BASE, PARTS, build, constant_inputs, objective, random_inputs, weights_of


def test_value_and_gradient_are_those_of_the_geometric_mean():
    parts, features = random_inputs()
    losses = torch.stack([parts[name].mean() for name in PARTS])
    expected = BASE.sum() * (losses**BASE).prod() ** (1 / BASE.sum())
    out = build('GLSBalancer')(parts, features)
    torch.testing.assert_close(objective(out), expected)
    for ours, theirs in zip(
        *(torch.autograd.grad(loss, features, retain_graph=True) for loss in (objective(out), expected))
    ):
        torch.testing.assert_close(ours, theirs)


def test_by_hand():
    # sqrt(2 * 8) = 4 twice: weights 4 / 2 and 4 / 8
    balancer = build('GLSBalancer', parts=['coord', 'cls'], base_weights=None)
    parts, features = constant_inputs([2.0, 8.0, 0, 0])
    out = balancer({name: parts[name] for name in ('coord', 'cls')}, features)
    torch.testing.assert_close(weights_of(out, ('coord', 'cls')), torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(objective(out), torch.tensor(8.0))


def test_the_unit_of_one_part_does_not_matter_to_the_shares():
    for factor in (1e-4, 1e4):
        parts, features = random_inputs()
        parts['cls'] = parts['cls'] * factor
        out = build('GLSBalancer')(parts, features)
        share = torch.stack([out[f'loss_{name}'] for name in PARTS]) / objective(out)
        torch.testing.assert_close(share, BASE / BASE.sum())


def test_a_part_that_is_zero_is_left_out():
    parts, features = constant_inputs([2.0, 0.0, 8.0, 1.0])
    three = build('GLSBalancer', parts=['coord', 'obj', 'noobj'], base_weights=dict(coord=5.0, obj=1.0, noobj=0.5))
    expected = three({name: parts[name] for name in ('coord', 'obj', 'noobj')}, features)
    out = build('GLSBalancer')(parts, features)
    for name in ('coord', 'obj', 'noobj'):
        torch.testing.assert_close(out[f'balance_{name}'], expected[f'balance_{name}'])
    assert out['balance_cls'] == 1 and out['loss_cls'] == 0

"""The log transform, differentiated by autograd."""

import torch

from .registry import BASE, PARTS, build, objective, random_inputs


def test_gradient_has_the_direction_of_the_sum_of_logarithms():
    parts, features = random_inputs()
    losses = torch.stack([parts[name].mean() for name in PARTS])
    ours, expected = (
        torch.autograd.grad(loss, features, retain_graph=True)[0]
        for loss in (objective(build('LogBalancer')(parts, features)), (BASE * losses.log()).sum())
    )
    mean = (BASE * losses).sum() / BASE.sum()
    torch.testing.assert_close(ours, mean.detach() * expected)


def test_total_is_that_of_the_base_weights_in_fixed_shares():
    for seed in range(3):
        parts, features = random_inputs(seed=seed)
        out = build('LogBalancer')(parts, features)
        total = sum(base * parts[name].mean() for name, base in zip(PARTS, BASE))
        torch.testing.assert_close(objective(out), total)
        torch.testing.assert_close(torch.stack([out[f'loss_{name}'] for name in PARTS]), total * BASE / BASE.sum())


def test_same_direction_as_the_geometric_mean():
    parts, features = random_inputs()
    one, other = (
        torch.autograd.grad(objective(build(name)(parts, features)), features, retain_graph=True)[0].flatten()
        for name in ('LogBalancer', 'GLSBalancer')
    )
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(one, other, dim=0), torch.tensor(1.0))

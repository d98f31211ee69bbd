"""GradNorm against a literal loop with torch's own Adam, and on a real shared layer."""

import pytest
import torch
from torch import nn

from .registry import BASE, PARTS, balance, build, constant_inputs, objective, random_inputs, weights_of


def literal_step(log_multipliers, optimizer, losses, first, gradients, alpha):
    """One step of Chen et al., on logarithms: part i counts as ``BASE[i]`` parts."""
    total = BASE.sum()
    norms = torch.stack([gradient.square().sum().sqrt() for gradient in gradients])
    scaled = log_multipliers.exp() * norms
    progress = losses / first
    relative = progress / ((BASE * progress).sum() / total)
    target = ((BASE * scaled).sum() / total * relative**alpha).detach()
    optimizer.zero_grad()
    (BASE * (scaled - target).abs()).sum().backward()
    optimizer.step()
    with torch.no_grad():
        log_multipliers += (total / (BASE * log_multipliers.exp()).sum()).log()


@pytest.mark.parametrize('alpha', [0.0, 1.5])
def test_equals_the_literal_formula(alpha):
    balancer = build('GradNormBalancer', alpha=alpha)
    log_multipliers = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([log_multipliers], lr=0.025)
    first = None
    for step in range(8):
        parts, features = random_inputs(seed=step)
        losses = torch.stack([parts[name].mean() for name in PARTS])
        first = losses.detach() if first is None else first
        gradients = [torch.autograd.grad(loss, features, retain_graph=True)[0] for loss in losses]
        out = balance(balancer, parts, features)
        torch.testing.assert_close(weights_of(out), (BASE * log_multipliers.exp()).detach())
        literal_step(log_multipliers, optimizer, losses.detach(), first, gradients, alpha)
    assert log_multipliers.abs().max() > 0.05


class TwoTasks(nn.Module):
    """A shared layer and two parts, the second with gradients a hundred times as large."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.shared = nn.Linear(3, 5)
        self.heads = nn.ModuleList([nn.Linear(5, 1), nn.Linear(5, 1)])

    def forward(self, x):
        features = self.shared(x).tanh()
        one, two = (head(features).squeeze(1).square() for head in self.heads)
        return dict(coord=one, cls=100 * two), features


@pytest.mark.parametrize('place', ['weight', 'features', 'several'])
def test_brings_the_gradients_of_a_shared_layer_together(place):
    model, x = TwoTasks(), torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    balancer = build('GradNormBalancer', parts=['coord', 'cls'], base_weights=None, alpha=0.0)
    for _ in range(400):
        parts, features = model(x)
        parameters = dict(
            weight=model.shared.weight, features=features, several=(model.shared.weight, model.shared.bias)
        )[place]
        out = balancer(parts, shared_parameters=parameters)
    norms = [
        torch.cat([g.flatten() for g in torch.autograd.grad(out[f'loss_{name}'], parameters, retain_graph=True)]).norm()
        for name in ('coord', 'cls')
    ]
    assert norms[0] / norms[1] == pytest.approx(1, abs=0.05)


def test_the_graph_is_left_for_the_backward_pass_and_parameters_without_gradients():
    model = TwoTasks()
    balancer = build('GradNormBalancer', parts=['coord', 'cls'], base_weights=None)
    parts, _ = model(torch.ones(2, 3))
    out = balancer(parts, shared_parameters=model.shared.weight)
    assert all(parameter.grad is None for parameter in model.parameters())
    objective(out).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_part_that_lags_behind_gains():
    balancer = build('GradNormBalancer')
    for step in range(10):
        out = balance(balancer, *constant_inputs([0.9**step, 1.0, 0.9**step, 0.9**step]))
    assert out['balance_cls'] > 1.2 and out['balance_obj'] < 1


def test_without_shared_parameters_another_balancer_is_named():
    with pytest.raises(ValueError, match='GradNormBalancer needs `shared_parameters`.*FAMOBalancer needs none'):
        build('GradNormBalancer')(*random_inputs())


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [(dict(alpha=-1), 'alpha must be a finite number >= 0, found -1'), (dict(lr=-0.1), 'lr must be.*found -0.1')],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build('GradNormBalancer', **wrong)


def test_nothing_depends_on_a_part_of_weight_0_that_is_infinite():
    parts, features = constant_inputs([1.0] * 4)
    balancer = build('GradNormBalancer', base_weights=dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.0))
    parts['coord'] = 1 + 2 * features[0, 0]
    with_0, without = (
        weights_of(balance(balancer, dict(parts, noobj=noobj), features))
        for noobj in (parts['noobj'] * 0, (0 * features[0, 3]).log())
    )
    assert with_0[0] == 5 and without.isfinite().all() and without[0] < 5  # the first step has learnt

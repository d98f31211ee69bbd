"""Algorithm 1 over candidates: Eq. 4 and 9-11 of the paper, written out, with the gradients of both networks."""

import math

import pytest
import torch
from torch import nn

from .mixtures import FIVE, SOFTMAX, C, build, gumbel, labels, scores

KIND = 'PaperStochasticLoss'
TAU, K = 0.7, 3


def literal_decision(network, row):
    """Eq. 4 for one sample ``(C,)``: LayerNorm, Linear, leaky ReLU, Linear, softmax."""
    mean = row.sum() / C
    normalised = (row - mean) / ((row - mean).square().sum() / C + 1e-5).sqrt()
    hidden = network.hidden.weight @ normalised / math.sqrt(C) + network.hidden.bias
    hidden = torch.stack([unit if unit > 0 else 0.1 * unit for unit in hidden])
    mu = network.output.weight @ hidden / math.sqrt(len(hidden)) + network.output.bias
    return mu.exp() / mu.exp().sum()


def literal_losses(row, label):
    """The five candidates of one sample; values per class are summed."""
    p = row.exp() / row.exp().sum()
    y = torch.tensor([1.0 if c == label else 0.0 for c in range(C)])
    wrong = torch.stack([p[c] for c in range(C) if c != label])
    return [
        sum((p[c] - y[c]) ** 2 for c in range(C)),
        sum((p[c] - y[c]).abs() for c in range(C)),
        1 + wrong.max() - p[label],
        1 - p[label] / p.square().sum().sqrt(),
        -p[label].log() - (1 - wrong).log().sum(),
    ]


def literal_loss(loss, pred, target):
    """Mean over the samples of Eq. 11."""
    uniform = torch.rand(len(FIVE), K, len(pred), generator=loss.sampler.generator.at(0, pred.device))
    noise = -(-uniform.log()).log()
    total = 0.0
    for j, (row, label) in enumerate(zip(pred, target.tolist())):
        p = literal_decision(loss.decision_network, row)
        p_hat = [0.0] * len(FIVE)
        for k in range(K):  # Eq. 9 and 10
            noisy = [p[i].log() + noise[i, k, j] for i in range(len(FIVE))]
            exponentials = [(value / TAU).exp() for value in noisy]
            chosen = max(range(len(FIVE)), key=lambda i: noisy[i].item())
            for i in range(len(FIVE)):
                relaxed = exponentials[i] / sum(exponentials)
                # Straight-through: the value of the one-hot sample, the gradient of the relaxed one
                p_hat[i] = p_hat[i] + ((1.0 if i == chosen else 0.0) + relaxed - relaxed.detach()) / K
        total = total + sum(p_hat[i] * value for i, value in enumerate(literal_losses(row, label)))
    return total / len(pred)


@pytest.mark.parametrize('start', ['random', 'uniform'])
def test_value_and_gradients_are_those_of_the_paper(start):
    loss = build(KIND, sampler=gumbel(K, tau=TAU), start=start)
    if start == 'uniform':
        nn.init.normal_(loss.decision_network.output.weight)  # as after some steps: at 0 no gradient passes it
    pred, target = scores().requires_grad_(), labels()
    both = [pred, *loss.decision_network.parameters()]
    expected = literal_loss(loss, pred, target)
    expected_gradients = torch.autograd.grad(expected, both)
    found = loss(pred, target, avg_factor=len(pred))
    torch.testing.assert_close(found, expected)
    for gradient, wanted in zip(torch.autograd.grad(found, both), expected_gradients):
        assert wanted.abs().sum() > 0
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-6)


def test_the_prediction_has_a_gradient_through_the_decision_network():
    """It is what StochasticLoss leaves out: there the weights are constants for the head."""
    pred, target = scores().requires_grad_(), labels()
    gradients = []
    for kind in (KIND, 'StochasticLoss'):
        loss = build(kind, sampler=SOFTMAX)
        loss.decision_network.output.weight.data.normal_(generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(loss.decision_network.output.bias)
        value = loss(pred, target, reduction_override='sum')
        gradients.append(torch.autograd.grad(value, pred)[0])
        p = torch.stack([literal_decision(loss.decision_network, row) for row in pred])
    values = torch.stack([torch.stack(literal_losses(row, y)) for row, y in zip(pred, target.tolist())]).detach()
    (through_features,) = torch.autograd.grad((p * values).sum(), pred)
    assert through_features.abs().max() > 1e-3
    torch.testing.assert_close(gradients[0], gradients[1] + through_features, rtol=1e-4, atol=1e-5)


def test_starts():
    uniform = build(KIND, start='uniform', sampler=SOFTMAX)
    uniform(scores(), labels())
    torch.testing.assert_close(uniform.last_weights, torch.full((5,), 0.2))
    random = build(KIND, sampler=SOFTMAX).decision_network(scores(64)).exp()
    assert (random - 0.2).abs().max() > 0.1 and random.std(0).min() > 0.01  # of each sample its own from the start
    with pytest.raises(ValueError, match=r"start must be one of \['random', 'uniform'\], found 'prior'"):
        build(KIND, start='prior')


def test_nothing_keeps_the_weight_from_the_smallest_candidate():
    """dL/dmu_i = p_i (l_i - sum_j p_j l_j): of losses l and 3 l all weight moves to the first."""
    candidates = [dict(type='CrossEntropyLoss', name='one'), dict(type='CrossEntropyLoss', name='three', loss_weight=3)]
    loss = build(KIND, candidates, start='uniform', sampler=SOFTMAX)
    loss(torch.zeros(8, C), labels(8)).backward()
    cross_entropy = math.log(C)
    # p = 1/2: 1/2 (l - 2 l) and 1/2 (3 l - 2 l)
    expected = torch.tensor([-0.5 * cross_entropy, 0.5 * cross_entropy])
    torch.testing.assert_close(loss.decision_network.output.bias.grad, expected)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        loss(torch.zeros(8, C), labels(8)).backward()
        optimizer.step()
    assert loss.last_weights[0] > 0.99

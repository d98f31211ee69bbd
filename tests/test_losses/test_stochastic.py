"""StochasticLoss: a mixture whose decision network follows a signal and is held to the base weights."""

import math

import pytest
import torch
from mmdet.registry import TASK_UTILS
from torch import nn

from slf_mmdet.slf import Signal

from .mixtures import CE, FIVE, SOFTMAX, C, build, gumbel, labels, scores, values_of

KIND = 'StochasticLoss'
CANDIDATES = [dict(CE, name='one'), dict(CE, name='three', loss_weight=3.0)]


def test_starts_at_the_base_weights():
    loss = build(KIND, FIVE[:2], base_weights=[3, 1], sampler=SOFTMAX)
    loss(scores(), labels())
    torch.testing.assert_close(loss.last_weights, torch.tensor([0.75, 0.25]))
    equal = build(KIND, sampler=SOFTMAX)
    equal(scores(), labels())
    torch.testing.assert_close(equal.last_weights, torch.full((5,), 0.2))


def test_gradients_of_head_and_decision_network_by_the_formula():
    """The head has that of the candidates at constant weights, the decision network its own goal's.

    Of each sample: sum_i p_i l_i / L + kappa KL(p || q), with the mean loss L of the batch at the prior.
    """
    q = torch.tensor([0.5, 0.3, 0.2])
    loss = build(KIND, FIVE[:3], base_weights=[5, 3, 2], sampler=SOFTMAX, kl_weight=0.7)
    nn.init.normal_(loss.decision_network.output.weight)
    pred, target = scores().requires_grad_(), labels()
    values = values_of(FIVE[:3], pred, target)
    p = loss.decision_network(pred.detach()).exp()
    expected = (p.detach() * values).sum() / 12
    mean_loss = sum(q[i] * values[j, i].item() for i in range(3) for j in range(12)) / 12
    goal = sum((p[j] * values[j].detach()).sum() / mean_loss + 0.7 * (p[j] * (p[j] / q).log()).sum() for j in range(12))
    found = loss(pred, target, avg_factor=12)
    torch.testing.assert_close(found, expected)

    (head,) = torch.autograd.grad(found, pred, retain_graph=True)
    torch.testing.assert_close(head, torch.autograd.grad(expected, pred)[0])
    parameters = list(loss.parameters())
    for gradient, wanted in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(goal / 12, parameters)):
        assert wanted.abs().sum() > 0
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-6)


def weight_of_the_first(candidates, steps=200, lr=0.5, **settings):
    loss = build(KIND, candidates, sampler=SOFTMAX, **settings)
    optimizer = torch.optim.SGD(loss.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(torch.zeros(8, C), labels(8)).backward()
        optimizer.step()
    return loss.last_weights[0].item()


def test_prefers_the_smaller_candidate_and_the_prior_holds_it_back():
    # losses l and 3 l, goal (p_1 l + p_2 3 l) / 2 l + kappa KL(p || (1/2, 1/2)): p_1 / p_2 = exp(1 / kappa)
    assert weight_of_the_first(CANDIDATES, kl_weight=0.0) > 0.99
    e = math.exp(1 / 0.8)
    assert weight_of_the_first(CANDIDATES, kl_weight=0.8) == pytest.approx(e / (1 + e), abs=0.01)


def test_is_held_to_the_base_weights():
    # goal (p_1 l + p_2 3 l) / (3/4 l + 1/4 3 l) + kappa KL(p || (3/4, 1/4)): p_1 / p_2 = 3 exp(2 / 1.5 kappa)
    odds = 3 * math.exp(2 / (1.5 * 0.8))
    found = weight_of_the_first(CANDIDATES, kl_weight=0.8, base_weights=[3, 1])
    assert found == pytest.approx(odds / (1 + odds), abs=0.01)


def test_by_default_no_candidate_is_given_up():
    candidates = [dict(CE, name='one'), dict(CE, name='thousand', loss_weight=1000.0)]
    # kappa = 20, and the costs of the two are 0.002 and 1.998 of that of equal weights
    found = weight_of_the_first(candidates, lr=0.1)
    assert found == pytest.approx(1 / (1 + math.exp(-1.996 / 20)), abs=1e-3)


def test_the_prior_does_not_change_the_value():
    values = [build(KIND, kl_weight=kappa)(scores(), labels(), avg_factor=12) for kappa in (0.0, 2.0)]
    torch.testing.assert_close(*values)


# Signals --------------------------------------------------------------------------------------------------------------


class FirstCostsNothing(Signal):
    """A signal that a user has written: of all candidates, the first is free."""

    def __init__(self, num_parts, others=2.0):
        super().__init__(num_parts)
        self.others = others

    def costs(self, step, prior_weights, weights):
        assert step.losses.shape == weights.shape and step.names == ('ClassMSELoss', 'ClassMAELoss')
        costs = torch.full((self.num_parts,), self.others)
        costs[0] = 0
        return costs


@pytest.fixture
def own_signal():
    """Registered for one test: the contract tests walk over what is registered."""
    TASK_UTILS.register_module(module=FirstCostsNothing)
    yield
    del TASK_UTILS.module_dict['FirstCostsNothing']


def test_a_registered_signal_of_ones_own_by_config(own_signal):
    loss = build(KIND, FIVE[:2], sampler=SOFTMAX, kl_weight=0.0, signal=dict(type='FirstCostsNothing', others=3.0))
    loss(scores(), labels(), avg_factor=12).backward()
    # goal 3 p_2, p = softmax(mu) = (1/2, 1/2): d/dmu = (-3/4, 3/4)
    torch.testing.assert_close(loss.decision_network.output.bias.grad, torch.tensor([-0.75, 0.75]))


def test_a_signal_that_remembers_goes_into_the_checkpoint():
    """RelativeLoss by hand: m is the mean of the losses over the batch, so c_i = l_i / m_i."""
    signal = dict(type='RelativeLoss', momentum=0.9)
    loss = build(KIND, FIVE[:2], sampler=SOFTMAX, kl_weight=0.0, signal=signal)
    pred, target = scores(), labels()
    loss(pred, target, avg_factor=12).backward()
    values = values_of(FIVE[:2], pred, target)
    # c has the mean 1 in each column; d/dmu_1 of (p_1 c_1 + p_2 c_2) is p_1 p_2 (c_1 - c_2), 0 in the mean
    torch.testing.assert_close(loss.decision_network.output.bias.grad, torch.zeros(2), rtol=0, atol=1e-6)
    assert loss.decision_network.output.weight.grad.abs().max() > 1e-4  # but not sample by sample
    torch.testing.assert_close(loss.state_dict()['signal.means.average'], 0.1 * values.mean(0))


@pytest.mark.parametrize(
    ('signal', 'missing'),
    [
        (dict(type='DeltaAP'), 'detection_quality'),
        (dict(type='GradientAlignment'), 'shared_parameters'),
    ],
)
def test_a_signal_that_needs_a_detector_is_an_error_that_names_one_that_does_not(signal, missing):
    loss = build(KIND, signal=signal)
    with pytest.raises(ValueError, match=rf'the signal {signal["type"]} needs `{missing}`, .*signal=dict\(type='):
        loss(scores(), labels())


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(signal=dict(type='TrainingLos')), r"signal.type must be one of \[.*Did you mean 'TrainingLoss'"),
        (dict(signal=dict(type='RelativeLoss', momentum=1.0)), r'momentum must be .*\[0, 1\), found 1.0'),
        (dict(base_weights='base'), "base_weights must be None or 5 numbers > 0.*found 'base'"),
        (dict(base_weights=[1, 2]), r'base_weights.*found \[1, 2\]'),
        (dict(base_weights=[1, 1, 1, 1, 0]), 'base_weights must be'),
        (dict(kl_weight=-1.0), 'kl_weight must be a finite number >= 0, found -1.0'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(KIND, **wrong)


@pytest.mark.parametrize(
    ('renamed', 'message'),
    [
        (dict(num_samples=3), r"sampler=dict\(type='MultipleGumbelSoftmax', num_samples=\.\.\.\)"),
        (dict(tau=1.0), r"sampler=dict\(type='MultipleGumbelSoftmax', tau=\.\.\.\)"),
        (dict(context_dim=3), 'It is called feature_dim'),
        (dict(initial=[1, 2]), 'It is called base_weights'),
        (dict(detach_context=False), 'PaperStochasticLoss is Algorithm 1'),
    ],
)
def test_settings_that_were_renamed_say_so(renamed, message):
    with pytest.raises(TypeError, match=f'StochasticLoss has no setting {next(iter(renamed))!r}.*{message}'):
        build(KIND, **renamed)


def test_weights_are_drawn_anew_in_each_step_and_alike_in_evaluation():
    loss = build(KIND, sampler=gumbel(1))
    drawn = []
    for _ in range(4):
        loss(scores(), labels())
        drawn.append(loss.last_weights)
    assert len({tuple(weights.tolist()) for weights in drawn}) > 1
    loss.eval()
    alike = []
    for _ in range(2):
        loss(scores(), labels())
        alike.append(loss.last_weights)
    assert torch.equal(*alike)

"""The verdict on measurements whose right answer is plain, and the weights that SLF would move to."""

import argparse
import dataclasses

import numpy as np
import pytest
import torch
from rich.console import Console

from slf_mmdet.probe import Measurement, judge
from slf_mmdet.probe.command import show
from slf_mmdet.probe.measure import weights_of_slf
from slf_mmdet.probe.verdict import Outcome
from slf_mmdet.slf import DeltaAP, decision_loss
from slf_mmdet.slf.decision_loss import best_shares
from slf_mmdet.slf.signals.base import measuring_iterations

FOUND = Measurement(
    parts=('cls', 'box'),
    base_weights=np.array([1.0, 2.0]),
    losses=np.array([0.5, 0.1]),
    gradient_norms=None,
    cosines=None,
    precision=0.2,
    ap_lost=np.array([0.3, 0.1]),
    ap_lost_error=np.array([0.01, 0.01]),
    slf_weights=np.array([1.6, 1.4]),
    step_seconds=0.5,
    measuring_seconds=0.25,
    measured_share=0.1,
    batches=20,
    iterations=200,
    problems={},
)


def verdict(**changes):
    return judge(dataclasses.replace(FOUND, **changes))


def test_worth_comparing():
    found = judge(FOUND)
    assert found.outcome is Outcome.WORTH_COMPARING
    assert 'SLF would move 20% of the weight, cls from 1 to 1.6.' in found.text
    assert 'average precision of a batch would be 0.300 higher' in found.text


def test_nothing_to_gain():
    assert verdict(slf_weights=np.array([1.1, 1.9])).outcome is Outcome.LITTLE_CHANGE
    assert verdict(slf_weights=np.array([0.8, 2.2])).outcome is Outcome.WORTH_COMPARING


def test_too_early():
    found = verdict(precision=0.0, ap_lost=np.zeros(2))
    assert found.outcome is Outcome.TOO_EARLY and 'after 200 iterations' in found.text
    assert verdict(precision=0.0).outcome is Outcome.WORTH_COMPARING


def test_impossible():
    found = verdict(precision=None, ap_lost=None, slf_weights=None, problems=dict(quality='SOLO has no boxes.'))
    assert found.outcome is Outcome.IMPOSSIBLE and found.text.endswith('SOLO has no boxes.')
    found = verdict(parts=('cls',))
    assert found.outcome is Outcome.IMPOSSIBLE and 'one part, cls' in found.text


def test_cost():
    assert FOUND.cost == pytest.approx(1 + 0.1 * 0.25 / 0.5)
    assert dataclasses.replace(FOUND, measuring_seconds=None).cost is None


def test_best_shares_minimise_the_decision_loss():
    costs, prior, total = torch.tensor([-0.2, 0.1, 0.0]), torch.tensor([0.2, 0.3, 0.5]), 4.0
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-9, line_search_fn='strong_wolfe')

    def closure():
        optimizer.zero_grad()
        log_p = logits.log_softmax(0)[None]
        loss = decision_loss(total * log_p.exp(), costs, log_p, prior, 0.7)
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(best_shares(costs, prior, 0.7, total), logits.detach().softmax(0), rtol=1e-4, atol=1e-5)


def test_weights_of_slf_by_hand():
    """Gains of 0.3 and 0.1, kl_weight 0.5: factors e^(0.75 / 0.5) and e^(0.25 / 0.5) on the base weights."""
    found = weights_of_slf(torch.tensor([1.0, 2.0]), torch.tensor([0.3, 0.1]), ('cls', 'box'))
    scaled = np.array([np.exp(1.5), 2 * np.exp(0.5)])
    np.testing.assert_allclose(found, 3 * scaled / scaled.sum(), rtol=1e-5)


@pytest.mark.parametrize('length', [1, 9, 10, 11, 1000, 1234, 5000])
def test_measuring_iterations_are_those_of_the_signal(length, monkeypatch):
    signal = DeltaAP(2).train()
    measured = []
    monkeypatch.setattr(signal, '_measure', lambda *args: measured.append(args))
    for _ in range(length):
        signal.costs(None, torch.ones(2), torch.ones(2))
    assert measuring_iterations(length) == len(measured)


def test_brackets_are_shown_as_they_are(capsys):
    """Rich would take them for styles."""
    found = dataclasses.replace(FOUND, parts=('cls[a-z]', '[/box]'))
    args = argparse.Namespace(config='c.py', parts=['rpn=loss_rpn_[a-z]+'], cfg_options=['model.x=[1,2]'])
    show(found, judge(found), args, Console(width=300))
    printed = capsys.readouterr().out
    assert "'rpn=loss_rpn_[a-z]+' --cfg-options 'model.x=[1,2]'" in printed
    assert printed.count('[/box]') == 1 and printed.count('cls[a-z]') == 2  # the row, and the verdict

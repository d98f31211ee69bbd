"""When signals that compare measure, and how their measurements count."""

import pytest
import torch

from slf_mmdet.slf import ComparingSignal
from slf_mmdet.utils.running_mean import RunningMean

from ...test_balancers.registry import costs_of


class Measured(ComparingSignal):
    """Its costs are the mean of the losses that it measured."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.means = RunningMean(self.num_parts, self.momentum)
        self.iterations = []

    def _measure(self, step, prior_weights, weights):
        self.iterations.append(self.counter.value)
        self.means.update(step.losses)

    def _costs_now(self, prior_weights):
        return self.means.mean


def run(signal, iterations):
    return [costs_of(signal, torch.tensor([float(i), 1.0])).tolist() for i in iterations]


def test_measurements_become_rarer():
    """A literal count: every tenth step up to 1,000, then 1 % of the steps so far from one to the next."""
    signal = Measured(2)
    run(signal, range(2500))
    assert signal.iterations[:100] == list(range(0, 1000, 10))
    assert signal.iterations[100:] == [step for step in range(1000, 2500) if step % (step // 100) == 0]


def test_costs_stay_between_measurements():
    costs = run(Measured(2, momentum=0.0, interval=3), range(7))
    assert [row[0] for row in costs] == [0, 0, 0, 3, 3, 3, 6]


@pytest.mark.parametrize(('momentum', 'expected'), [(0.0, 3.0), (0.5, (3 + 0.5 * 2 + 0.25) / 1.875), (0.999, 1.501)])
def test_momentum_decides_how_long_a_measurement_counts(momentum, expected):
    assert run(Measured(2, momentum, interval=1), range(4))[-1][0] == pytest.approx(expected, rel=2e-3)


def test_all_measurements_count_alike_by_default():
    assert run(Measured(2, interval=1), range(101))[-1][0] == pytest.approx(50, rel=0.02)


def test_nothing_is_measured_in_evaluation_or_without_gradients():
    signal = Measured(2, interval=1)
    signal.eval()
    run(signal, range(3))
    signal.train()
    with torch.no_grad():
        run(signal, range(3))
    assert signal.iterations == [] and signal.counter.value == 0


def test_it_goes_on_after_a_resume():
    first, second = Measured(2, interval=4), Measured(2, interval=4)
    run(first, range(6))
    second.load_state_dict(first.state_dict())
    assert run(first, range(6, 12)) == run(second, range(6, 12))
    assert second.iterations == [8]


def test_label():
    assert Measured(2).label == 'the signal Measured'


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(momentum=1.0), r'^Measured: momentum must be in \[0, 1\), found 1.0'),
        (dict(momentum=None), r'^Measured: momentum must be in \[0, 1\), found None'),
        (dict(interval=0), '^Measured: interval must be an integer >= 1 or None, found 0'),
        (dict(interval=0.5), '^Measured: interval must be an integer >= 1 or None, found 0.5'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        Measured(2, **wrong)

"""Signals that measure one part at a time, where each takes a pass through the heads."""

import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import ExponentialMovingAverage
from torch import nn

from slf_mmdet.balancers import DetectionQuality
from slf_mmdet.balancers.step import Step
from slf_mmdet.slf import DeltaAP, GradientAlignment
from slf_mmdet.slf.signals.base import PartsInTurn

WEIGHTS = torch.ones(3)


@pytest.mark.parametrize(
    ('at_once', 'expected', 'values'),  # part i measures i, and ten times the number of the measurement
    [
        (1, [[0], [1], [2], [3], [4], [0]], [None, None, None, None, [0, 11, 22, 33, 44], None]),
        (2, [[0, 1], [2, 3], [4], [0, 1]], [None, None, [0, 1, 12, 13, 24], None]),
        (3, [[0, 1, 2], [3, 4], [0, 1, 2]], [None, [0, 1, 2, 13, 14], None]),
        (5, [[0, 1, 2, 3, 4]] * 2, [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]]),
        (None, [[0, 1, 2, 3, 4]] * 2, [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]]),
    ],
)
def test_each_part_has_its_turn_and_all_are_handed_over_together(at_once, expected, values):
    turn, handed_over = PartsInTurn(5), []
    for number, parts in enumerate(expected):
        which = turn.parts(at_once)
        assert list(which) == parts
        found = turn.collect(which, torch.tensor([parts]) + 10.0 * number)
        handed_over.append(None if found is None else found[0].tolist())
    assert handed_over == values


def test_a_resumed_run_goes_on_with_the_part_whose_turn_it_is():
    first, second = PartsInTurn(3), PartsInTurn(3)
    for value in (1.0, 2.0):
        assert first.collect(first.parts(1), torch.tensor([[value]])) is None
    second.load_state_dict(first.state_dict())
    for turn in (first, second):
        assert list(turn.parts(1)) == [2]
        assert turn.collect([2], torch.tensor([[3.0]])).tolist() == [[1.0, 2.0, 3.0]]


def test_a_measurement_that_is_taken_back_spoils_its_round_alone():
    """As a step that is skipped: its buffers are restored, but not the counter."""
    turn = PartsInTurn(3)
    for value in (1.0, 2.0):
        before = {name: buffer.clone() for name, buffer in turn.named_buffers() if buffer.is_floating_point()}
        turn.collect(turn.parts(1), torch.tensor([[value]]))
    for name, buffer in before.items():
        turn.get_buffer(name).copy_(buffer)
    (found,) = turn.collect(turn.parts(1), torch.tensor([[3.0]]))
    assert found[[0, 2]].tolist() == [1.0, 3.0] and found[1].isnan()
    found = [turn.collect(turn.parts(1), torch.tensor([[value]])) for value in (4.0, 5.0, 6.0)]
    assert found[-1].tolist() == [[4.0, 5.0, 6.0]]


def test_checkpoints_of_earlier_versions():
    old = dict(measured=torch.zeros(0, 3), **{'turns.steps': torch.tensor(2)})
    turn = PartsInTurn(3, num_values=2)
    turn.load_state_dict(old)
    assert list(turn.parts(1)) == [2] and turn.measured.shape == (2, 3)


@pytest.mark.parametrize('signal', [DeltaAP(3, interval=1), GradientAlignment(3, interval=1)])
def test_an_averaged_copy_that_was_made_before_the_first_measurement(signal):
    """As EMAHook of mmengine makes it; with and without buffers in the average."""
    copies = [ExponentialMovingAverage(signal, momentum=0.1, update_buffers=on) for on in (False, True)]
    for _ in range(7):
        signal.costs(Problem().step(1), WEIGHTS, WEIGHTS)
        for copy in copies:
            copy.update_parameters(signal)
    theirs, ours = (set(one.state_dict()) for one in (copies[1].module, signal))
    assert ours - theirs <= {'target_gradient.value'} and theirs <= ours


class Problem(nn.Module):
    """Three parts of two shared parameters, and a quality that asks for one step along (1, 0)."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Parameter(torch.tensor([[2.0, 1.0]]))

    def step(self, at_once, seen=None):
        x, y = self.shared[0]
        losses = torch.stack([x.square(), (x - y).square(), y.square()])

        def measure(inputs):
            if seen is not None:
                seen.append(inputs[0].tolist())
            return -inputs[0].abs().sum()

        return Step(
            losses,
            ('a', 'b', 'c'),
            shared_parameters=[self.shared],
            detection_quality=DetectionQuality(measure, [self.shared]),
            parts_at_once=at_once,
        )


def test_delta_ap_is_the_same_after_all_have_been_measured():
    whole, turns = DeltaAP(3, interval=1), DeltaAP(3, interval=1)
    expected = whole.costs(Problem().step(None), WEIGHTS, WEIGHTS)
    for _ in range(2):
        assert turns.costs(Problem().step(1), WEIGHTS, WEIGHTS).tolist() == [0, 0, 0]
    assert torch.equal(turns.costs(Problem().step(1), WEIGHTS, WEIGHTS), expected) and expected.min() < 0


def test_delta_ap_measures_two_alternatives_in_a_turn_and_four_at_once():
    for at_once, number in ((1, 2), (None, 4)):
        seen = []
        DeltaAP(3, interval=1).costs(Problem().step(at_once, seen), WEIGHTS, WEIGHTS)
        assert len(seen) == number and seen[0] == [[2, 1]]


@pytest.mark.parametrize('target', ['detection_quality', 'training_loss'])
def test_gradient_alignment_is_the_same_after_all_have_been_measured(target):
    whole, turns = (GradientAlignment(3, target, interval=1) for _ in range(2))
    for _ in range(2):  # the first only sets the target
        expected = whole.costs(Problem().step(None), WEIGHTS, WEIGHTS)
    for _ in range(4):
        found = turns.costs(Problem().step(1), WEIGHTS, WEIGHTS)
    assert whole.alignment.count == turns.alignment.count == 1
    torch.testing.assert_close(turns.alignment.mean, whole.alignment.mean)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('at_once', [None, 1])
def test_every_tenth_iteration_is_measured(at_once):
    seen = []
    signal = DeltaAP(3)
    measured = []
    for iteration in range(21):
        before = len(seen)
        signal.costs(Problem().step(at_once, seen), WEIGHTS, WEIGHTS)
        if len(seen) > before:
            measured.append(iteration)
    assert measured == [0, 10, 20]


def test_an_average_precision_of_0_for_many_measurements_is_said_once(caplog):
    logger = MMLogger.get_instance('blank')
    signal = DeltaAP(3, interval=1)

    def warnings():
        return [record for record in caplog.records if record.levelno == logging.WARNING]

    def step(value):
        problem = Problem().step(1)
        problem._detection_quality.measure = lambda inputs: torch.tensor(value)
        signal.costs(problem, WEIGHTS, WEIGHTS)

    logger.addHandler(caplog.handler)
    try:
        for value in [0.0] * 40 + [0.5] + [0.0] * 49:
            step(value)
        assert not warnings()
        for _ in range(100):
            step(0.0)
    finally:
        logger.removeHandler(caplog.handler)
    (warning,) = warnings()
    assert 'last 50 measured batches was exactly 0' in warning.getMessage()
    assert "lower score_thr in the detector's test_cfg" in warning.getMessage()

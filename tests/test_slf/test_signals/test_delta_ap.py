"""The signal DeltaAP: parts by the average precision that is lost with them. In a training: see test_balancer.py."""

import pytest
import torch

from slf_mmdet.balancers import DetectionQuality
from slf_mmdet.slf import DeltaAP

from ...test_balancers.registry import PARTS, costs_of


class Given(DetectionQuality):
    """Has the gains that are put into it, batch by batch."""

    def __init__(self, *gains):
        self.given = list(gains)

    def precisions(self, parts, names, which):
        assert names == PARTS and len(parts) == 4
        assert list(which) == [0, 1, 2, 3]
        return torch.tensor([0.0, *self.given.pop(0)])


def costs(signal, quality):
    return costs_of(signal, torch.rand(4), detection_quality=quality)


def test_costs_are_the_shares_of_what_is_lost():
    gains = [[0.1, 0.4, 0.2, 0.0], [0.0, 0.2, -0.1, 0.1], [-0.2, 0.0, 0.0, 0.0]]
    signal, quality = DeltaAP(4, interval=1, momentum=0.5), Given(*gains)
    for number in range(1, 4):
        now = costs(signal, quality)
        ages = 0.5 ** torch.arange(number).flip(0)
        mean = (ages.unsqueeze(1) * torch.tensor(gains[:number])).sum(0) / ages.sum()
        torch.testing.assert_close(signal.monitored()['ap_lost'], mean)
        lost = mean.clamp_min(0)
        assert lost.sum() > 0.1
        torch.testing.assert_close(7.5 * now, -lost / lost.sum())
    assert now[0] == 0 and now[1] < 0


def test_gains_of_less_than_a_tenth_in_total_count_in_part():
    now = costs(DeltaAP(4, interval=1), Given([0.01, 0.04, -0.2, 0.0]))
    torch.testing.assert_close(7.5 * now, torch.tensor([-0.1, -0.4, 0.0, 0.0]))


def test_nothing_is_followed_where_nothing_is_lost():
    signal = DeltaAP(4, interval=1)
    assert costs(signal, Given([0.0] * 4)).tolist() == [0.0] * 4
    assert costs(signal, Given([-0.1] * 4)).tolist() == [0.0] * 4


def test_a_batch_that_is_not_finite_and_evaluation_leave_no_trace():
    signal = DeltaAP(4, interval=1)
    expected = costs(signal, Given([0.1, 0.3, 0.0, 0.0]))
    assert torch.equal(costs(signal, Given([float('nan'), 0.3, 0.0, 0.0])), expected)
    signal.eval()
    assert torch.equal(costs(signal, Given()), expected)


def test_it_measures_every_few_iterations_and_goes_on_after_a_resume():
    gains = [[0.1, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0]]
    first = DeltaAP(4, interval=3)
    expected = [costs(first, quality) for quality in [Given(gains[0]), *[Given()] * 2, Given(gains[1])]]
    assert torch.equal(expected[0], expected[2]) and not torch.equal(expected[2], expected[3])
    second = DeltaAP(4, interval=3)
    second.load_state_dict(first.state_dict())
    for signal in (first, second):
        now = [costs(signal, quality) for quality in [*[Given()] * 2, Given(gains[2])]]
    assert torch.equal(costs(first, Given()), now[-1])


def test_gains_are_those_of_the_parts():
    """Two sums of squares; the quality lacks 3 of the first and 1 of the second: 3 / 4 and 1 / 4 of what is lost."""
    output = torch.tensor([[3.0, 1.0]], requires_grad=True)
    quality = DetectionQuality(lambda inputs: -inputs[0].abs().sum(), [output], step_scale=2.0)
    signal = DeltaAP(2, interval=1)
    now = costs_of(signal, output.square(), detection_quality=quality)
    assert signal.monitored()['ap_lost'].tolist() == [3, 1]
    torch.testing.assert_close(6 * now, torch.tensor([-0.75, -0.25]))  # base weights 5 and 1


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(momentum=-0.1), r'DeltaAP: momentum must be in \[0, 1\), found -0.1'),
        (dict(interval=0.5), 'DeltaAP: interval must be an integer >= 1 or None, found 0.5'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        DeltaAP(4, **wrong)


def test_processes_exchange_a_number_for_each_part_and_one_more(monkeypatch):
    sent = []

    def mean_over_processes(values):
        sent.append(values.numel() * values.element_size())
        return values

    monkeypatch.setattr('slf_mmdet.balancers.step.mean_over_processes', mean_over_processes)
    signal = DeltaAP(4, interval=2)
    quality = Given(*[[0.1, 0.4, 0.2, 0.0]] * 2)
    for _ in range(4):
        costs_of(signal, torch.rand(4), detection_quality=quality)
    assert sent == [20, 20]  # bytes: fp32 of the quality as it is and with each of four parts solved

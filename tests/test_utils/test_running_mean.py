"""The running mean against sums over the whole history."""

import math

import pytest
import torch

from slf_mmdet.utils.running_mean import RunningMean

VALUES = [[1.0, 10.0], [3.0, -4.0], [2.0, 0.0], [8.0, 1.0]]
BAD = [[math.nan, 1.0], [1.0, math.inf], [-math.inf, math.nan]]


def updated(running, vectors):
    for vector in vectors:
        running.update(torch.tensor(vector))
    return running


def test_by_hand():
    running = RunningMean(2, momentum=0.5)
    assert running.mean.tolist() == [0, 0] and running.count == 0
    expected = [[1.0, 10.0], [(3 + 0.5) / 1.5, (-4 + 5) / 1.5], [(2 + 1.5 + 0.25) / 1.75, (0 - 2 + 2.5) / 1.75]]
    for vector, mean in zip(VALUES, expected):
        assert updated(running, [vector]).mean.tolist() == pytest.approx(mean)
    assert running.count == 3


@pytest.mark.parametrize('momentum', [0.0, 0.3, 0.98, None])
def test_equals_weighted_sums_over_the_history(momentum):
    running = RunningMean(2, momentum)
    for number in range(1, len(VALUES) + 1):
        updated(running, VALUES[number - 1 : number])
        ages = [(1.0 if momentum is None else momentum) ** age for age in range(number - 1, -1, -1)]
        mean = [sum(age * row[i] for age, row in zip(ages, VALUES[:number])) / sum(ages) for i in range(2)]
        assert running.mean.tolist() == pytest.approx(mean, rel=1e-5)
        assert running.count == number


@pytest.mark.parametrize('momentum', [0.9, None])
def test_a_vector_that_is_not_finite_does_not_count(momentum):
    """At the start, where it would take the weight of the start, and later."""
    without = updated(RunningMean(2, momentum), VALUES)
    among = updated(RunningMean(2, momentum), [*BAD, VALUES[0], *BAD * 5, *VALUES[1:], *BAD])
    for key, value in without.state_dict().items():
        assert torch.equal(among.state_dict()[key], value), key
    torch.testing.assert_close(among.mean, without.mean, rtol=0, atol=0)
    assert among.count == len(VALUES)


def test_it_is_left_out_if_something_else_is_not_finite():
    running = RunningMean(2, 0.5)
    running.update(torch.tensor(VALUES[0]), also_finite=torch.tensor([1.0, math.nan, 2.0]))
    assert running.count == 0 and running.mean.tolist() == [0, 0]
    running.update(torch.tensor(VALUES[0]), also_finite=torch.tensor([1.0, 2.0, 2.0]))
    assert running.count == 1 and running.mean.tolist() == VALUES[0]


def test_effective_count_is_the_number_up_to_what_the_momentum_remembers():
    # (1 + 0.5) / (1 - 0.5) = 3
    running, plain = RunningMean(2, 0.5), RunningMean(2)
    counts = [(updated(one, [VALUES[0]]).effective_count.item()) for _ in range(5) for one in (running, plain)]
    assert counts == [1, 1, 2, 2, 3, 3, 3, 4, 3, 5]
    assert RunningMean(2, 0.5).effective_count == 1


def test_reset_forgets_everything():
    running = updated(RunningMean(2, 0.9), VALUES)
    running.reset()
    assert torch.equal(updated(running, VALUES[1:]).mean, updated(RunningMean(2, 0.9), VALUES[1:]).mean)


def test_what_was_given_is_not_changed_and_has_no_graph():
    values = torch.tensor(VALUES[0], requires_grad=True)
    running = RunningMean(2, 0.9)
    running.update(values * 1)
    assert not running.mean.requires_grad and values.tolist() == VALUES[0]


@pytest.mark.parametrize('momentum', [1.0, -0.1, math.nan, '0.9', True])
def test_wrong_momentum(momentum):
    with pytest.raises(ValueError, match=rf'RunningMean: momentum must be None or in \[0, 1\), found {momentum!r}'):
        RunningMean(2, momentum)

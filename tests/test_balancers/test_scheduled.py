"""Scheduled weights against the schedule worked out by hand."""

import pytest

from .registry import BASE, PARTS, build, constant_inputs, observe

FALLING = dict(value=2.0, schedulers=[dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.25, end=7)])


def test_weights_are_the_base_weights_times_the_schedule():
    # From 2 to 0.5 in the 6 steps between the 7 iterations: down by 0.25 each, then constant
    _, weights = observe(build('ScheduledBalancer', schedules=dict(coord=FALLING, noobj=3.0)), 9)
    for step, row in enumerate(weights):
        factors = [max(2 - 0.25 * step, 0.5), 1, 1, 3]
        assert row == pytest.approx([factor * base for factor, base in zip(factors, BASE.tolist())])


def test_a_resumed_run_is_where_it_was_in_the_schedule():
    settings = dict(schedules=dict(cls=FALLING))
    balancer = build('ScheduledBalancer', **settings)
    observe(balancer, 4)
    resumed = build('ScheduledBalancer', **settings)
    resumed.load_state_dict(balancer.state_dict())
    out = resumed(*constant_inputs([1.0] * 4))
    assert out['balance_cls'].item() == pytest.approx(1.0)


def test_a_part_may_be_switched_off_late():
    step = dict(type='StepParamScheduler', step_size=3, gamma=0.0)
    _, weights = observe(build('ScheduledBalancer', schedules=dict(cls=dict(value=1.0, schedulers=[step]))), 5)
    assert [row[PARTS.index('cls')] for row in weights] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ('schedules', 'error', 'message'),
    [
        (dict(box=1.0), ValueError, r"schedules names \['box'\], but the parts are \['coord'"),
        (dict(cls='1'), TypeError, "must be a number or dict.*found '1'"),
        (dict(cls=dict(start=1)), TypeError, 'must be a number or dict'),
    ],
)
def test_wrong_settings(schedules, error, message):
    with pytest.raises(error, match=message):
        build('ScheduledBalancer', schedules=schedules)


def test_a_negative_factor_names_part_and_iteration():
    balancer = build('ScheduledBalancer', schedules=dict(cls=-0.5))
    with pytest.raises(ValueError, match=r"factor of 'cls'.*>= 0, found -0.5 at iteration 0"):
        balancer(*constant_inputs([1.0] * 4))

"""Learning curves of a comparison, by hand."""

import csv
import math

import pytest

from slf_mmdet.comparison.curves import first_reach, mean_curve, plot_curves, read_curve, save_curves, time_to_reach

STATIC = [(10, 0.2), (20, 0.6), (40, 0.8)]


def test_read_curve():
    validations = {'20': dict(mAP=0.5), '10': dict(mAP=0.25), '30': dict(mAP=float('nan')), '40': dict(other=1.0)}
    assert read_curve(dict(validations=validations), 'mAP', 100) == [(10, 25), (20, 50)]
    assert read_curve({}, 'mAP') == []


@pytest.mark.parametrize(
    ('level', 'step'),
    [
        (0.1, 10),  # reached before the first validation: no sooner than it
        (0.2, 10),
        (0.4, 15),  # halfway between the two
        (0.7, 30),
        (0.8, 40),
        (0.81, None),
    ],
)
def test_first_reach(level, step):
    assert first_reach(STATIC, level) == (None if step is None else pytest.approx(step))


def test_first_reach_of_a_curve_that_falls_again():
    assert first_reach([(10, 0.2), (20, 0.6), (30, 0.1), (40, 0.7)], 0.5) == pytest.approx(17.5)


def test_time_to_reach():
    first = {0: STATIC, 1: STATIC, 2: STATIC}
    fast, slow = [(10, 0.4), (20, 0.8), (40, 0.9)], [(10, 0.1), (20, 0.2), (40, 0.7)]
    assert time_to_reach({0: fast}, first) == pytest.approx(20 / 40)
    assert time_to_reach({0: fast, 1: STATIC, 2: slow}, first) == pytest.approx(1.0)  # the median: 0.5, 1, never
    assert time_to_reach({0: slow, 1: fast, 2: slow}, first) == math.inf
    assert time_to_reach({7: fast}, first) is None
    assert time_to_reach({0: fast[1:]}, first) is None  # two points are no curve


def test_time_to_reach_where_less_is_better():
    first = {0: [(10, 8.0), (20, 4.0), (40, 2.0)]}
    assert time_to_reach({0: [(10, 6.0), (20, 2.0), (40, 1.0)]}, first, 'less') == pytest.approx(20 / 40)
    assert time_to_reach({0: [(10, 9.0), (20, 6.0), (40, 3.0)]}, first, 'less') == math.inf


def test_files(tmp_path):
    curves = dict(static={0: STATIC, 1: STATIC[:2]}, slf={0: [(10, 0.4), (20, 0.8)]})
    save_curves(tmp_path / 'curves.csv', curves, 'mAP')
    lines = list(csv.reader((tmp_path / 'curves.csv').read_text().splitlines()))
    assert lines[0] == ['arm', 'seed', 'iter', 'mAP'] and len(lines) == 1 + 3 + 2 + 2
    assert lines[-1] == ['slf', '0', '20', '0.8']
    plot_curves(tmp_path / 'curves.png', curves, 'mAP')
    assert (tmp_path / 'curves.png').stat().st_size > 5000


def test_mean_of_what_all_curves_have():
    assert mean_curve([STATIC, [(10, 0.4), (20, 0.8)]]) == [(10, pytest.approx(0.3)), (20, pytest.approx(0.7))]

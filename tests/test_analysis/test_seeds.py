"""Means and ranges over runs, by hand."""

from pathlib import Path

import numpy as np
import pytest

from slf_mmdet.analysis import Curve, group_by_seed, over_seeds


def test_mean_and_range():
    iters = np.array([10, 20])
    band = over_seeds([Curve(iters, np.array(values)) for values in ([1.0, 2.0], [3.0, 2.0], [5.0, 8.0])])
    assert band.iters.tolist() == [10, 20]
    assert (band.mean.tolist(), band.low.tolist(), band.high.tolist()) == ([3, 4], [1, 2], [5, 8])


def test_runs_logged_at_different_iterations():
    band = over_seeds(
        [Curve(np.array([0, 10, 20]), np.array([0.0, 10.0, 20.0])), Curve(np.array([5, 15]), np.array([5.0, 17.0]))]
    )
    assert band.iters.tolist() == [5, 10, 15]  # where both are
    assert band.low.tolist() == [5, 10, 15] and band.high.tolist() == [5, 11, 17]


def test_nothing_in_common():
    curves = [Curve(np.array([start]), np.ones(1)) for start in (1, 5)]
    with pytest.raises(ValueError, match='no iteration in common: one begins at 5, another ends at 1'):
        over_seeds(curves)
    with pytest.raises(ValueError, match='no curve'):
        over_seeds([])


def test_a_log_is_named_by_its_work_dir(tmp_path):
    log = tmp_path / 'slf_seed12' / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.touch()
    other = tmp_path / 'slf_seed3'
    assert group_by_seed([log, other]) == {'slf': [log, other]}


def test_names_without_a_seed_stay_as_they_are():
    names = ['slf_k30', 'yolov1_nano_1xb16-12e_digits-112px', 'retinanet_r50', 'classes3']
    assert list(group_by_seed(map(Path, names))) == names

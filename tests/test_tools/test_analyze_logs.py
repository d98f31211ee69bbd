"""mmdet's own ``analyze_logs.py`` on the log of a run with a balancer: losses, times and weights."""

import json
import re
import runpy
import sys

import numpy as np
import pytest

from slf_mmdet.paths import get_mmdet_tool

SCRIPT = get_mmdet_tool('analysis_tools/analyze_logs.py')


@pytest.fixture
def log(trained):
    (path,) = trained[0].glob('*/vis_data/scalars.json')
    return path


def analyze(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), *map(str, args)])
    runpy.run_path(str(SCRIPT), run_name='__main__')


@pytest.mark.parametrize('key', ['loss', 'loss_cls', 'balance_cls', 'raw_noobj', 'share_obj', 'weights_entropy'])
def test_curve(key, log, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    drawn = []
    monkeypatch.setattr(plt, 'plot', lambda x, y, **settings: drawn.append((np.asarray(x), np.asarray(y))))
    analyze(monkeypatch, 'plot_curve', log, '--keys', key, '--out', tmp_path / 'curve.png')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    expected = [record[key] for record in records if 'lr' in record]
    ((iters, values),) = drawn
    assert iters.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(values, expected)


def test_time(log, monkeypatch, capsys):
    analyze(monkeypatch, 'cal_train_time', log)
    found = float(re.search(r'average iter time: (\S+) s/iter', capsys.readouterr().out)[1])
    assert 0 < found < 100


def test_no_key_of_training_has_a_slash(log):
    """The script takes each such key, and what comes after it, for a validation."""
    for line in log.read_text().splitlines():
        record = json.loads(line)
        assert 'lr' not in record or not [key for key in record if '/' in key]

"""Every script in benchmarks/ runs and prints its table; times are not looked at."""

import runpy
import sys

import pytest
from helpers import ROOT

FOLDER = ROOT / 'benchmarks'
# Importing mmdet in new processes takes longer than all others together.
SCRIPTS = sorted(path.name for path in FOLDER.glob('bm_*.py') if path.name != 'bm_startup.py')


@pytest.mark.parametrize('script', SCRIPTS)
def test_prints_a_table(script, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, 'argv', [script, '--quick', '--device', 'cpu'])
    runpy.run_path(str(FOLDER / script), run_name='__main__')
    assert '1.000 (1.000 to 1.000)' in capsys.readouterr().out or script == 'bm_yolov1_loss.py'


def test_ratios_are_taken_within_rounds(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from side_by_side import ratio

    # The machine is 10 times slower in the second round: 3 / 2, 30 / 20, 5 / 2
    found = ratio(dict(a=[3.0, 30.0, 5.0], b=[2.0, 20.0, 2.0]), 'a', 'b')
    assert found == (1.5, 1.5, 2.5)

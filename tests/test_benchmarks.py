"""Every script in benchmarks/ runs and prints its table; times are not looked at."""

import re
import runpy
import sys

import pytest

from .helpers import ROOT

pytestmark = pytest.mark.integration

FOLDER = ROOT / 'benchmarks'
# Importing mmdet in new processes takes longer than all others together.
SCRIPTS = sorted(path.name for path in FOLDER.glob('bm_*.py') if path.name != 'bm_startup.py')


@pytest.mark.parametrize('script', SCRIPTS)
def test_prints_a_table(script, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, 'argv', [script, '--quick', '--device', 'cpu'])
    runpy.run_path(str(FOLDER / script), run_name='__main__')
    expected = {'bm_yolov1_loss.py': '', 'bm_detectors.py': '| retinanet | 2 '}.get(script, '1.000 (1.000 to 1.000)')
    assert expected in capsys.readouterr().out


@pytest.mark.slow
def test_supported_detectors_of_the_docs(monkeypatch, tmp_path):
    """A part of the families, as the script writes them now, against docs/detectors.md."""
    monkeypatch.syspath_prepend(str(FOLDER))
    out = tmp_path / 'detectors.md'
    monkeypatch.setattr(sys, 'argv', ['supported_detectors.py', '--only', 'YOLOX', 'SOLO', '--out', str(out)])
    runpy.run_path(str(FOLDER / 'supported_detectors.py'), run_name='__main__')
    ours, documented = (rows(path.read_text(encoding='utf-8')) for path in (out, ROOT / 'docs/detectors.md'))
    assert len(documented) >= 40
    assert ours == {name: documented[name] for name in ('YOLOX', 'SOLO')}
    assert ours['YOLOX'] == ('3', 'works', 'works', 'works')
    assert ours['SOLO'][2].startswith('refused: BalancedSOLO predicts masks without boxes')


def rows(text):
    """Name -> cells of a table, with the notes filled in."""
    notes = dict(re.findall(r'^(\d+)\. (.*)$', text, flags=re.MULTILINE))
    found = [line.strip('| ').split(' | ') for line in text.splitlines() if line.startswith('| ')][1:]
    return {
        cells[0]: tuple(re.sub(r' \[(\d+)\]', lambda m: f': {notes[m[1]]}', cell) for cell in cells[1:])
        for cells in found
    }


def test_ratios_are_taken_within_rounds(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from side_by_side import ratio

    # The machine is 10 times slower in the second round: 3 / 2, 30 / 20, 5 / 2
    found = ratio(dict(a=[3.0, 30.0, 5.0], b=[2.0, 20.0, 2.0]), 'a', 'b')
    assert found == (1.5, 1.5, 2.5)

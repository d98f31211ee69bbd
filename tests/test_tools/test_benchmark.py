"""tools/analysis_tools/benchmark.py prints a line for each config."""

import runpy

import pytest
from helpers import CONFIGS, ROOT

NANO = CONFIGS / 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py'


def run_tool(*args):
    runpy.run_path(str(ROOT / 'tools/analysis_tools/benchmark.py'))['main']([str(arg) for arg in args])


def test_prints_images_per_second(capsys):
    slf = CONFIGS / 'slf/slf_yolov1_nano_1xb16-12e_digits-112px.py'
    run_tool(NANO, slf, '--rounds', 2, '--device', 'cpu')
    lines = [line.split('|') for line in capsys.readouterr().out.splitlines() if '_nano_' in line]
    assert [line[1].strip() for line in lines] == [NANO.stem, slf.stem]
    assert all(0 < float(line[2]) < float(line[3]) for line in lines)  # the detector takes longer than its network


def test_one_checkpoint_belongs_to_one_config(capsys):
    with pytest.raises(SystemExit):
        run_tool(NANO, NANO, '--checkpoint', 'epoch_1.pth')
    assert '--checkpoint goes with one CONFIG' in capsys.readouterr().err

"""``slf-mmdet benchmark`` prints a line for each config."""

import time
from itertools import chain

import pytest

from slf_mmdet.analysis import speed
from slf_mmdet.commands.benchmark import main

from ..helpers import CONFIGS

NANO = CONFIGS / 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py'


def test_prints_images_per_second(monkeypatch, capsys):
    slf = CONFIGS / 'slf/slf_yolov1_nano_1xb16-12e_digits-112px.py'
    rounds = [  # seconds of NANO's detector and network, and of slf's
        *[[9, 9, 9, 9]] * 2,  # warm-up, not counted
        [0.02, 0.01, 0.05, 0.004],
        [8, 0.01, 0.04, 0.005],  # the 8 would spoil a mean
        [0.02, 8, 0.04, 0.006],
    ]
    clock = chain.from_iterable(rounds)

    def measured(run, device):
        assert run() is not None and device == 'cpu'
        return next(clock)

    monkeypatch.setattr(speed, '_seconds_of', measured)
    main([str(NANO), str(slf), '--rounds', '3', '--device', 'cpu'])
    lines = [line.split('|')[1:-1] for line in capsys.readouterr().out.splitlines() if '_nano_' in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        [NANO.stem, '50.0', '100.0'],
        [slf.stem, '25.0', '200.0'],
    ]
    assert next(clock, None) is None


def test_the_clock_runs_while_the_call_does():
    seconds = speed._seconds_of(lambda: time.sleep(0.05), 'cpu')
    assert seconds >= 0.05


def test_one_checkpoint_belongs_to_one_config(capsys):
    with pytest.raises(SystemExit):
        main([str(NANO), str(NANO), '--checkpoint', 'epoch_1.pth'])
    assert '--checkpoint needs a single CONFIG' in capsys.readouterr().err

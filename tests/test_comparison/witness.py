"""What the processes of a run do in ``chaos.py``: they note each step, and their clock may be wrong."""

import os
import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

FOLDER, OFFSET, JUMP = 'CHAOS_WITNESS', 'CHAOS_CLOCK_OFFSET', 'CHAOS_CLOCK_JUMP'
REAL = time.time


def set_clock(further=0.0):
    """Changes what ``time.time`` returns by the offset of the environment, in seconds, and a further one."""
    offset = float(os.environ.get(OFFSET, 0)) + further
    time.time = (lambda: REAL() + offset) if offset else REAL


set_clock()


@HOOKS.register_module(force=True)  # it may be imported by another name, too
class WitnessHook(Hook):
    """Writes process and iteration of each step to a file of the run, and sets the clock back after the third one."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        name = '_'.join(Path(runner.work_dir).parts[-2:])
        with open(Path(os.environ[FOLDER]) / name, 'a') as file:
            file.write(f'{os.getpid()} {runner.iter}\n')
        if runner.iter == 3:
            set_clock(float(os.environ.get(JUMP, 0)))

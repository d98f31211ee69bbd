"""Runs as processes of this machine."""

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Optional

import torch

from ..run_process import describe_end, start_run
from .base import LOG, Engine, StartedRun


class LocalRun(StartedRun):
    """A run in a process of this machine.

    Args:
        process: which it is.
    """

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def end(self) -> Optional[str]:
        code = self.process.poll()
        return None if code is None else describe_end(code)

    def stop(self) -> None:
        self.process.terminate()

    def wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.process.kill()  # nothing where it has ended
        self.process.wait()
        if self.process.stdin is not None:  # the pipe that tells it that this process lives
            self.process.stdin.close()


class LocalEngine(Engine):
    """Each run gets its share of the cores and, round robin, one of the GPUs.

    Args:
        jobs: runs at a time.
    """

    def __init__(self, jobs: int = 1) -> None:
        super().__init__(jobs)

    def start(self, folder: Path, slot: int) -> LocalRun:
        env = dict(os.environ)
        env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // self.jobs)))
        number = torch.cuda.device_count()
        if number > 1:
            # Of those that this process may use, which has numbers, or names of GPUs or of their parts
            given = [one for one in env.get('CUDA_VISIBLE_DEVICES', '').split(',') if one] or list(
                map(str, range(number))
            )
            env['CUDA_VISIBLE_DEVICES'] = given[slot % number]
        return LocalRun(start_run(folder, folder / LOG, env))

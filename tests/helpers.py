"""Shared by tests that run tools and configs as users do."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

import pytest
import torch
from mmengine.utils import digit_version

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / 'configs'
DIGITS_SLF = CONFIGS / 'slf' / 'slf_yolov1_nano_1xb16-12e_digits-112px.py'
# Options of a short run: logged at every iteration, evaluated at every epoch, without worker processes
SHORT = ('train_cfg.val_interval=1', 'default_hooks.logger.interval=1', 'randomness.seed=0')
IN_PROCESS = [
    f'{split}_dataloader.{option}'
    for split in ('train', 'val', 'test')
    for option in ('num_workers=0', 'persistent_workers=False')
]


def needs_torch(version: str, reason: str):
    """Skips a test on older ones."""
    older = digit_version(torch.__version__) < digit_version(version)
    return pytest.mark.skipif(older, reason=f'{reason} needs torch {version}')


def run_python(
    *args: str, cwd: Optional[Path] = None, env: Optional[dict] = None, check: bool = True, timeout: int = 450
):
    """Runs ``python args`` and returns the finished process, with stdout and stderr together."""
    process = subprocess.Popen(
        [sys.executable, '-X', 'faulthandler', *map(str, args)],
        cwd=cwd or ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg', **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it prints where it stands
        time.sleep(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its own processes, which hold the pipe as well
        stdout, _ = process.communicate()
        raise AssertionError(f'{args} did not end within {timeout} s:\n{stdout[-6000:]}') from None
    if check and process.returncode:
        raise AssertionError(f'{args} ended with {process.returncode}:\n{stdout[-6000:]}')
    return subprocess.CompletedProcess(process.args, process.returncode, stdout)

"""Shared by tests that run tools and configs as users do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

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


def run_python(
    *args: str, cwd: Optional[Path] = None, env: Optional[dict] = None, check: bool = True, timeout: int = 600
):
    """Runs ``python args`` and returns the finished process, with stdout and stderr together."""
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd or ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg', **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    if check and done.returncode:
        raise AssertionError(f'{args} ended with {done.returncode}:\n{done.stdout[-6000:]}')
    return done

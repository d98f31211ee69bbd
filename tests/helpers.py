"""Shared by tests that run tools and configs as users do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / 'configs'


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

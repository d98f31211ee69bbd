"""The process of a run: how it is started, ends with the one that started it, and how its end is described."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Mapping

from ..utils.files import writing

CANNOT_WRITE = 74  # exit status, EX_IOERR of sysexits.h
WITH_PARENT = '--with-parent'


def start_run(folder: Path, log: Path, env: Mapping[str, str]) -> subprocess.Popen:
    """Starts the process of a run, which ends when this one has ended, see :func:`end_with_parent`.

    Args:
        folder: of the run.
        log: file that its output is appended to.
        env: its environment variables.
    """
    with writing(log), open(log, 'a', encoding='utf-8') as file:
        return subprocess.Popen(
            [sys.executable, '-m', 'slf_mmdet.comparison.run', str(folder), WITH_PARENT],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(env),
        )


def end_with_parent() -> None:
    """Ends this process once its standard input, a pipe from the process that started it, is closed.

    The system closes it, too, when that process is killed. Otherwise this one would go on, and a second one would train
    in the same folder.
    """

    def wait() -> None:
        os.read(0, 1)  # not through sys.stdin, whose lock a forked worker would inherit
        os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))

    threading.Thread(target=wait, daemon=True).start()


def describe_end(code: int) -> str:
    """How a process without a result ended.

    Args:
        code: its exit status; negative for a signal, as of :class:`subprocess.Popen`.

    Examples:
        >>> describe_end(-9)
        'killed by signal 9 (SIGKILL), often by the kernel for lack of memory'
        >>> describe_end(1)
        'ended with exit status 1'
    """
    if code == CANNOT_WRITE:
        return 'could not write its files: the disk or a quota is full, or the file system is read-only'
    if code >= 0:
        return f'ended with exit status {code}' if code else 'ended without a result'
    known = {number.value: number.name for number in signal.Signals}
    reason = ', often by the kernel for lack of memory' if known.get(-code) == 'SIGKILL' else ''
    return f'killed by signal {-code} ({known.get(-code, "unknown")}){reason}'

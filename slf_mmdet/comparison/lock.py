"""One process at a time in the folder of a comparison."""

import contextlib
import os
import socket
from pathlib import Path
from typing import Iterator

from filelock import FileLock, Timeout

from ..utils.files import write_text, writing

LOCK = '.lock'
OWNER = '.owner'


class BusyError(OSError):
    """Another process works in a folder."""


@contextlib.contextmanager
def locked(folder: Path, wait: float = 1.0) -> Iterator[None]:
    """Makes this the only process that works in a folder, which is made if need be.

    The system releases the lock of a process that ends, however it ends. Within a process it can be taken repeatedly.

    Args:
        folder: in which the file ``.lock`` is locked.
        wait: seconds to wait for another process to end.

    Raises:
        BusyError: another process works there; the message says which.
        OSError: the folder cannot be written.
    """
    folder = folder.absolute()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, is_singleton=True)
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=wait)
    if not lock.is_locked:
        raise BusyError(f'{folder} is in use by {_owner(folder)}. Wait until it has ended, or end it.')
    try:
        write_text(folder / OWNER, f'process {os.getpid()} on {socket.gethostname()}')
        yield
    finally:
        lock.release()


def _owner(folder: Path) -> str:
    path = folder / OWNER
    return path.read_text(encoding='utf-8') if path.is_file() else 'another process'

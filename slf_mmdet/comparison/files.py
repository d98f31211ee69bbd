"""Files of a comparison: whole or absent, however a process ends, and one process at a time in a folder."""

import contextlib
import errno
import json
import os
import socket
from pathlib import Path
from typing import Any, Iterator, Optional

from filelock import FileLock, Timeout

LOCK = '.lock'
OWNER = '.owner'
PARTIAL = '.partial'
# Errors that mean a full disk, a quota, a limit of file sizes, or a read-only file system
_NO_SPACE = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC), errno.EFBIG)
_UNWRITABLE = (*_NO_SPACE, errno.EROFS)


class BusyError(OSError):
    """Another process works in a folder."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields the path of a file to write, which then replaces ``path`` in one step.

    ``path`` is what it was before, or all of the new file is on the disk.

    Raises:
        OSError: it cannot be written; the message names it and what to do.
    """
    partial = path.with_name(f'.{path.name}.{os.getpid()}{PARTIAL}')
    try:
        with writing(path):
            yield partial
            with open(partial, 'r+b') as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, see :func:`whole_file`."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding='utf-8')


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, see :func:`whole_file`."""
    write_text(path, json.dumps(content, indent=2))


def remove_partial(folder: Path) -> None:
    """Removes what processes that were killed while they wrote a file left in a folder."""
    for path in folder.glob(f'.*{PARTIAL}'):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Explains an ``OSError`` that is raised while ``path`` is written."""
    try:
        yield
    except OSError as error:
        full = error.errno in _NO_SPACE
        remedy = 'Make room, then run the same command again' if full else 'Use a work dir that can be written'
        raise OSError(
            f'{path} cannot be written: {error.strerror or error}. {remedy}; what is finished is kept.'
        ) from error


def is_unwritable(error: Optional[BaseException]) -> bool:
    """Whether an error, or one that it was raised for, is a full disk, a quota or a read-only file system."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            return True
        error = error.__cause__ or error.__context__
    return False


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

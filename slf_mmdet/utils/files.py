"""Files that are whole or absent, however a process ends."""

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any, Iterator, Optional

PARTIAL = '.partial'
# Errors that mean a full disk, a quota, a limit of file sizes, or a read-only file system
_NO_SPACE = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC), errno.EFBIG)
_UNWRITABLE = (*_NO_SPACE, errno.EROFS)


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

"""How the command-line tools report what their user can correct."""

import os
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

PACKAGE = str(Path(__file__).resolve().parents[1])
CONFIG_READERS = ('_file2dict', '_is_lazy_import')  # mmengine's, with the file as `filename`
DATA_PACKER = '_serialize_data'  # of mmengine's data sets; an empty one fails there, without a word of it
LOOPS = os.path.join('mmengine', 'runner', 'loops.py')
TORCH_FILES = os.path.join('torch', 'serialization.py')


@contextmanager
def user_errors(tool: str) -> Iterator[None]:
    """Ends the program with one paragraph on stderr and exit code 1 at an error of the user.

    These are missing and unreadable files, configs that cannot be read or built, and values that are refused. Any other
    exception is a fault of a program and keeps its traceback; so does one amid an epoch, unless it is raised by
    slf_mmdet itself. Wrong arguments end with exit code 2, by argparse. ``SLF_TRACEBACK=1`` in the environment shows
    the traceback in any case.

    Args:
        tool: name of the tool, before the message.
    """
    try:
        yield
    except Exception as error:
        message = _explain(error)
        if message is None or os.environ.get('SLF_TRACEBACK') == '1':
            raise
        sys.exit(f'{tool}: {" ".join(message.split())}')


def _explain(error: Exception) -> Optional[str]:
    """The message of an error of the user, or None."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    text = _text(error)
    config = next((frame for frame in reversed(frames) if frame.f_code.co_name in CONFIG_READERS), None)
    if config is not None:
        return _with_file(str(config.f_locals.get('filename')), text)
    empty = next((frame for frame in frames if frame.f_code.co_name == DATA_PACKER), None)
    if empty is not None and not empty.f_locals['self'].data_list:
        found = empty.f_locals['self']
        return f'{type(found).__name__}: there are no images in {found.data_root or found.data_prefix}.'
    raised_by_us = bool(frames) and frames[-1].f_code.co_filename.startswith(PACKAGE)
    if any(frame.f_code.co_filename.endswith(LOOPS) for frame in frames) and not raised_by_us:
        return None
    if type(error).__module__.startswith('slf_mmdet.'):
        return text
    reads = [frame for frame in frames if frame.f_code.co_filename.endswith(TORCH_FILES)]
    if reads and not isinstance(error, OSError):  # torch raises errors of any type on broken files
        return _with_file(str(reads[0].f_locals.get('f')), f'cannot be read as a checkpoint ({text})')
    if _is_refusal(error):
        return text
    if any(frame.f_code.co_name == 'build_from_cfg' for frame in frames):
        return text if isinstance(error, (KeyError, TypeError, AttributeError, AssertionError, ImportError)) else None
    return None


def _text(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f'line {error.lineno}: {error.msg}'
    if isinstance(error, KeyError) and error.args:  # whose text is the repr of its message
        return str(error.args[0])
    name = '' if _is_refusal(error) else f'{type(error).__name__}: '
    return f'{name}{error}'


def _with_file(path: str, text: str) -> str:
    return text if path in text else f'{path}: {text}'


def _is_refusal(error: Exception) -> bool:
    # mmengine's own error of configs, by name: importing it takes seconds
    return isinstance(error, (OSError, ValueError)) or type(error).__name__ == 'ConfigParsingError'

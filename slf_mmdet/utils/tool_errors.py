"""How the command-line tools report what their user can correct."""

import pickle
import sys
from contextlib import contextmanager
from typing import Iterator

from mmengine.config.utils import ConfigParsingError

# Missing files, values that are refused, configs and checkpoints that cannot be read
USER_ERRORS = (OSError, ValueError, SyntaxError, ConfigParsingError, pickle.UnpicklingError)


@contextmanager
def user_errors(tool: str) -> Iterator[None]:
    """Ends the program with one paragraph on stderr and exit code 1 at an error of the user.

    Wrong arguments end with 2, by argparse; any other exception is a fault of the program and keeps its traceback.

    Args:
        tool: name of the tool, before the message.
    """
    try:
        yield
    except USER_ERRORS as error:
        print(f'{tool}: {" ".join(str(error).split())}', file=sys.stderr)
        sys.exit(1)

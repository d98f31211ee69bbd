"""Packages that only an extra of this one installs."""

from contextlib import contextmanager
from typing import Iterator


@contextmanager
def needs(owner: str, package: str, extra: str) -> Iterator[None]:
    """Adds the command that installs a package to the error of its import.

    Args:
        owner: who needs it, for the text of the error.
        package: its name on PyPI.
        extra: of this package, which installs it.

    Raises:
        ModuleNotFoundError: an import in the block fails since there is no such module.

    Examples:
        >>> with needs('This', 'no-such-package', 'text'):
        ...     import no_such_package
        Traceback (most recent call last):
        ModuleNotFoundError: This needs no-such-package: pip install 'slf-mmdet[text]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{owner} needs {package}: pip install 'slf-mmdet[{extra}]'") from error

"""Known issue: Python 3.14 removed ``pkgutil.find_loader``, with which mmengine and mmcv look for compiled ops.

Can be deleted when both use ``importlib.util.find_spec``.
"""

import importlib.util
import pkgutil
from typing import Any, Optional


def find_loader(fullname: str) -> Optional[Any]:
    """The loader of a module; ``None`` if there is no such module, or its package is missing."""
    try:
        spec = importlib.util.find_spec(fullname)
    except ModuleNotFoundError:
        return None
    return None if spec is None else spec.loader


def apply() -> None:
    """Adds ``pkgutil.find_loader`` where Python has none."""
    if not hasattr(pkgutil, 'find_loader'):
        pkgutil.find_loader = find_loader

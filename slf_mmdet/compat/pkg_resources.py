"""Trap: mmengine 0.10 reads package metadata through ``pkg_resources``, which setuptools 82 removed.

Python 3.12 environments come without setuptools at all. mmengine needs it for ``mmdet::`` bases of configs. The package
requires ``setuptools<82``; where that is overruled, the module file ``pkg_resources_stand_in.py`` answers what mmengine
asks.

Can be deleted when mmengine uses ``importlib.metadata``.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Optional, Sequence

STAND_IN = Path(__file__).with_name('pkg_resources_stand_in.py')


class PkgResourcesFinder:
    """Finds ``pkg_resources`` where nobody else does."""

    @staticmethod
    def find_spec(
        name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        return importlib.util.spec_from_file_location(name, STAND_IN) if name == 'pkg_resources' else None


def apply() -> None:
    """Makes ``pkg_resources`` importable as far as mmengine needs it."""
    finders: list[Any] = sys.meta_path
    if PkgResourcesFinder not in finders:
        finders.append(PkgResourcesFinder)

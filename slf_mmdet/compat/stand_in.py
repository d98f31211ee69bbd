"""Module files of ours that replace modules that are not installed. An installed one takes precedence."""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Optional, Sequence


class StandInFinder:
    """Finds one module in a file of ours; at the end of ``sys.meta_path``, it is used when no other finder has it.

    Args:
        name: full name of the module that may be missing.
        file: the module file that replaces it.
    """

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self.file = file

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        return importlib.util.spec_from_file_location(name, self.file) if name == self.name else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StandInFinder) and (self.name, self.file) == (other.name, other.file)

    __hash__ = None  # type: ignore[assignment]


def install(name: str, file: Path) -> None:
    """Uses ``file`` as the module ``name`` where that is missing."""
    finders: list[Any] = sys.meta_path
    finder = StandInFinder(name, file)
    if finder not in finders:
        finders.append(finder)
        importlib.invalidate_caches()  # earlier look-ups that failed are cached

"""Module files of ours that stand in for modules that are not installed. An installed one always wins."""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Optional, Sequence


class StandInFinder:
    """Finds one module in a file of ours; appended to ``sys.meta_path``, it is asked when nobody else found it.

    Args:
        name: full name of the module that may be missing.
        file: the module file that stands in for it.
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
    """Lets ``file`` stand in for the module ``name``, from now on and wherever it is missing."""
    finders: list[Any] = sys.meta_path
    finder = StandInFinder(name, file)
    if finder not in finders:
        finders.append(finder)
        importlib.invalidate_caches()  # whoever looked for the module before was told that there is none

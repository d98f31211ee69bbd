"""Facts about an installation for the known issues; only Python and rich need to work in it."""

import contextlib
import importlib
import io
import os
import re
import sys
import warnings
from dataclasses import dataclass, field
from importlib import metadata
from typing import Callable, Dict, Mapping, Optional, Tuple

from .training_step import problem

# In the order in which they are shown. The onedl- packages are forks that replace OpenMMLab's under the same names.
DISTRIBUTIONS = (
    'slf_mmdet',
    'torch',
    'torchvision',
    'mmengine',
    'mmcv',
    'mmcv-lite',
    'mmdet',
    'mmpretrain',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmdetection',
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'pycocotools',
    'setuptools',
    'openmim',
    'openxlab',
    'transformers',
)


def installed_versions() -> Dict[str, str]:
    """Distribution -> version, of those in :data:`DISTRIBUTIONS` that are installed."""
    versions = {}
    for name in DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def import_error(module: str) -> Optional[str]:
    """Imports a module quietly.

    Returns:
        ``None``, or type and text of the error.
    """
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter('ignore')
            importlib.import_module(module)
    except Exception as error:  # whatever a broken installation leads to
        return f'{type(error).__name__}: {error}'.partition('\n')[0]
    return None


@dataclass
class Environment:
    """What is installed.

    Args:
        versions: distribution -> version; those that are not installed are left out.
        import_error: module -> the error when it is imported, or ``None``.
        variables: environment variables.
        python: major and minor version.
        training_problem: why a small training step fails, or ``None``.
    """

    versions: Mapping[str, str] = field(default_factory=installed_versions)
    import_error: Callable[[str], Optional[str]] = import_error
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    python: Tuple[int, int] = (sys.version_info.major, sys.version_info.minor)
    training_problem: Callable[[], Optional[str]] = problem

    def has(self, name: str, low: str = '0', below: str = '99999') -> bool:
        """Whether a distribution is installed in a version >= ``low`` and < ``below``."""
        found = self.versions.get(name)
        return found is not None and _numbers(low) <= _numbers(found) < _numbers(below)

    def shown(self, *names: str) -> str:
        """Names and versions of those that are installed."""
        return ', '.join(f'{name} {self.versions[name]}' for name in names if name in self.versions)


def _numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r'\d+', version.partition('+')[0])[:3])

"""Learned loss weights for MMDetection: importing this registers everything and makes today's torch work."""

import sys
from pathlib import Path

from .paths import get_config_path
from .version import __version__

__all__ = ['__version__', 'get_config_path', 'register_all_modules']


def register_all_modules() -> None:
    """Imports everything that registers itself: ``import slf_mmdet`` does, the command ``slf-mmdet`` where needed."""
    from . import compat

    compat.apply()  # before anything that imports mmdet's models, which need mmcv's ops

    from . import balancers, datasets, evaluation, hooks, losses, models, slf  # noqa: F401


def _started_as() -> str:
    """``'command'`` by ``slf-mmdet`` or ``python -m slf_mmdet``, ``'doctor'`` by its module, else ``''``."""
    words = getattr(sys, 'orig_argv', None) or [sys.executable, *sys.argv]  # Python 3.9, which hides the module of -m
    module = words[words.index('-m') + 1] if '-m' in words[:-1] else ''
    if module == 'slf_mmdet.doctor':
        return 'doctor'
    script = Path(words[1]).name if len(words) > 1 else ''
    return 'command' if module == 'slf_mmdet' or script.startswith('slf-mmdet') else ''


if _started_as() != 'command':  # which prints its help within a second
    try:
        register_all_modules()
    except Exception:
        if _started_as() != 'doctor':  # which says why
            raise

"""Learned loss weights for MMDetection: importing this registers everything and makes today's torch work."""

import sys

from .version import __version__

try:
    from . import compat

    compat.apply()  # before anything that imports mmdet's models, which need mmcv's ops

    from . import balancers, datasets, hooks, losses, models, slf
    from .paths import get_config_path
except Exception:
    if 'slf_mmdet.doctor' not in getattr(sys, 'orig_argv', ()):  # python -m slf_mmdet.doctor says why
        raise

__all__ = ['__version__', 'balancers', 'compat', 'datasets', 'get_config_path', 'hooks', 'losses', 'models', 'slf']

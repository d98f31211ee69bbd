"""Learned loss weights for MMDetection: importing this registers everything and makes today's torch work."""

from . import compat

compat.apply()  # before anything that imports mmdet's models, which need mmcv's ops

from . import balancers, datasets, hooks, losses, models  # noqa: E402
from .paths import get_config_path  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'balancers', 'compat', 'datasets', 'get_config_path', 'hooks', 'losses', 'models']

"""Known issue: mmcv-lite has no compiled ops, but mmdet imports ``mmcv.ops`` everywhere, which loads ``mmcv._ext``.

Where there is no ``mmcv._ext``, the module file ``mmcv_ext.py`` beside this one replaces it. ``slf_mmdet_compat.pth``,
which the wheel puts into site-packages, does the same for programs that import mmdet's models before slf_mmdet, as
mmdet's own ``tools/test.py`` does.

Can be deleted when mmdet no longer needs compiled ops, or mmcv publishes wheels for current torch.
"""

import importlib
import importlib.util
from pathlib import Path

from .stand_in import install

STAND_IN = Path(__file__).with_name('mmcv_ext.py')


def apply() -> None:
    """Makes ``mmcv.ops`` importable.

    Raises:
        ModuleNotFoundError: mmcv is not installed at all.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise ModuleNotFoundError(
            'slf_mmdet needs mmcv, which is not installed. Without a compiler: '
            'pip install "mmcv-lite>=2.0.0,<2.2.0"; with compiled ops: pip install "mmcv>=2.0.0,<2.2.0".'
        )
    install('mmcv._ext', STAND_IN)


def ops_are_real() -> bool:
    """Whether mmcv's compiled ops are in use, and not the stand-in."""
    return Path(str(importlib.import_module('mmcv._ext').__file__)).resolve() != STAND_IN.resolve()

"""What makes today's torch, numpy, setuptools and mmcv-lite work with mmdet 3.3: one file per known issue."""

from . import find_loader, mmcv_ops, pkg_resources, safe_globals, ssd_head


def apply() -> None:
    """Applies every fix that this installation needs. Calling it again changes nothing."""
    find_loader.apply()
    mmcv_ops.apply()
    pkg_resources.apply()
    safe_globals.apply()
    ssd_head.apply()

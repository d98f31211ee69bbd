"""Known issue: mmengine 0.10 reads package metadata through ``pkg_resources``, which setuptools 82 removed.

Python 3.12 environments come without setuptools at all. mmengine needs it for ``mmdet::`` bases of configs. The package
requires ``setuptools<82``; where a newer one is installed, the module file ``pkg_resources_stand_in.py`` provides what
mmengine uses.

Can be deleted when mmengine uses ``importlib.metadata``.
"""

from pathlib import Path

from .stand_in import install


def apply() -> None:
    """Makes ``pkg_resources`` importable as far as mmengine needs it."""
    install('pkg_resources', Path(__file__).with_name('pkg_resources_stand_in.py'))

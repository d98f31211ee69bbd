"""Prints the versions of slf_mmdet and of what it stands on."""

import argparse
import platform
from importlib import metadata

from ..version import __version__
from .common import command

PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmdet', 'mmcv', 'mmcv-lite')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds none."""


def run(args: argparse.Namespace) -> None:
    """Prints a line for each package that is installed."""
    print(f'slf-mmdet {__version__}')
    print(f'python {platform.python_version()}')
    installed = {found.metadata['Name']: found.version for found in metadata.distributions()}
    for name in PACKAGES:
        if name in installed:
            print(name, installed[name])


main = command('version', __doc__, add_arguments, run, registers=False)

"""Prints versions, ops, GPU and known issues of this installation; the exit code is 1 if an issue needs a fix."""

import argparse

from .common import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds none."""


def run(args: argparse.Namespace) -> int:
    """Prints the report."""
    from ..doctor.__main__ import main as diagnose

    return diagnose()


main = command('doctor', __doc__, add_arguments, run, registers=False)

"""Reads every annotation and decodes every image of a config, counts them, and lists problems.

The exit code is 1 if there is one.
"""

import argparse

from .common import add_cfg_options, command, options_of

SPLITS = ('train', 'val', 'test')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', nargs='+', choices=SPLITS, default=SPLITS, help='default: all')
    add_cfg_options(parser, 'the config')


def run(args: argparse.Namespace) -> int:
    """Prints the report."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from rich.console import Console

    from ..datasets.check import check_config

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(options_of(args.cfg_options))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    report = check_config(cfg, args.split)
    report.show(Console())
    return 1 if report.problems else 0


main = command('check_dataset', __doc__, add_arguments, run)

"""Checks all data of a config before a training; exit code 1 if there is a problem."""

import argparse
import sys

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from rich.console import Console

import slf_mmdet  # noqa: F401  registers the data sets
from slf_mmdet.datasets.check import SPLITS, check_config
from slf_mmdet.utils.tool_errors import user_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Reads every annotation and decodes every image of a config, counts them, and '
        'lists problems. Exit code 1 if there is one.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', nargs='+', choices=SPLITS, default=SPLITS, help='default: all')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='changes to the config, key=value, such as train_dataloader.dataset.data_root=...',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    try:
        report = check_config(cfg, args.split)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    report.show(Console())
    return 1 if report.problems else 0


if __name__ == '__main__':
    with user_errors('check_dataset'):
        sys.exit(main())

"""Trains a detector, as mmdet's own tools/train.py, which this runs after slf_mmdet is imported.

Data sets that mmdet reads without a check are checked before.
"""

import argparse

from .common import add_cfg_options, command, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those of mmdet's tool, to which they are passed on."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size')
    parser.add_argument(
        '--resume', nargs='?', const='auto', help='from this checkpoint, or from the last one of the work dir'
    )
    add_cfg_options(parser, 'the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='of processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Checks the data, and trains."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from ..datasets.check import check_before_training
    from ..paths import run_mmdet_tool

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(options_of(args.cfg_options))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    check_before_training(cfg)
    run_mmdet_tool('train.py', args.argv)


main = command('train', __doc__, add_arguments, run)

"""Evaluates a checkpoint, as mmdet's own tools/test.py, which this runs after slf_mmdet is imported."""

import argparse

from .common import add_cfg_options, command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those of mmdet's tool, to which they are passed on."""
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder of the metrics')
    parser.add_argument('--out', help='pickle to write the predictions to, .pkl')
    parser.add_argument('--show', action='store_true', help='show the predictions')
    parser.add_argument('--show-dir', help='folder of painted images, in the work dir')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that an image is shown')
    add_cfg_options(parser, 'the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='of processes')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Evaluates."""
    from ..paths import run_mmdet_tool

    run_mmdet_tool('test.py', args.argv)


main = command('test', __doc__, add_arguments, run)

"""Measures on a few batches what SLF would do with a detector, and says whether a comparison is worth its time.

Without a checkpoint the detector is trained for some iterations first, with the weights of its config. Per part of the
loss: its size, the norm of its gradient, the average precision that is lost with it, the weight that SLF would move to.

Examples:
    slf-mmdet probe CONFIG
    slf-mmdet probe CONFIG CHECKPOINT --parts cls=loss_cls box=loss_bbox
"""

import argparse

from .common import WrongArguments, add_cfg_options, command, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config', help='config of a training')
    parser.add_argument('checkpoint', nargs='?', help='of the detector; nothing is trained then')
    parser.add_argument('--iters', type=int, default=200, help='of training, without a checkpoint (default: 200)')
    parser.add_argument('--batches', type=int, default=20, help='to measure on (default: 20)')
    parser.add_argument(
        '--parts', nargs='+', metavar='PART=LOSS', help='see slf-mmdet compare (default: each loss is a part)'
    )
    parser.add_argument('--out', help='folder (default: work_dirs/probe/CONFIG)')
    add_cfg_options(parser, 'the config')


def run(args: argparse.Namespace) -> None:
    """Prints and writes the measurement."""
    if args.iters < 0:
        raise WrongArguments(f'--iters must be >= 0, found {args.iters}')
    if args.batches < 2:
        raise WrongArguments(f'--batches must be >= 2, found {args.batches}')
    from ..probe.command import probe

    probe(args, options_of(args.cfg_options))


main = command('probe', __doc__, add_arguments, run)

"""Writes handwritten digits of 28 x 28 pixels in the files of MNIST, without a download, within seconds."""

import argparse

from .common import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command; the defaults are those of ``build_digits_idx``."""
    parser.add_argument('--out', default='data/digits_28px', help='folder of the files (default: %(default)s)')
    parser.add_argument('--num-train', type=int, default=20000, help='training images (default: %(default)s)')
    parser.add_argument('--num-test', type=int, default=5000, help='test images (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')


def run(args: argparse.Namespace) -> None:
    """Writes the files."""
    from ..datasets.digits_idx import build_digits_idx

    out = build_digits_idx(args.out, num_train=args.num_train, num_test=args.num_test, seed=args.seed)
    print(f'{out} holds {args.num_train} training and {args.num_test} test images')


main = command('digits_idx', __doc__, add_arguments, run)

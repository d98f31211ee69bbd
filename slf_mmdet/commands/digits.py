"""Builds digits-VOC, a small detection set in the layout of PASCAL VOC with masks, within seconds."""

import argparse

from .common import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command; the defaults are those of ``DigitsVOCSpec``."""
    parser.add_argument('--out', default='data/digits_voc', help='folder of the set (default: %(default)s)')
    parser.add_argument('--num-train', type=int, default=2000, help='training images (default: %(default)s)')
    parser.add_argument('--num-test', type=int, default=500, help='test images (default: %(default)s)')
    parser.add_argument('--image-size', type=int, default=112, help='side in pixels (default: %(default)s)')
    parser.add_argument(
        '--digit-size',
        type=int,
        nargs=2,
        default=(18, 48),
        metavar=('LEAST', 'LARGEST'),
        help='side of a digit in pixels (default: 18 48)',
    )
    parser.add_argument('--max-digits', type=int, default=4, help='digits in an image, at most (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--overwrite', action='store_true', help='replace a set that was built with other parameters')


def run(args: argparse.Namespace) -> None:
    """Builds the set."""
    from ..datasets.digits_voc import build_digits_voc

    out = build_digits_voc(
        args.out,
        num_train=args.num_train,
        num_test=args.num_test,
        image_size=args.image_size,
        seed=args.seed,
        digit_size=tuple(args.digit_size),
        max_digits=args.max_digits,
        overwrite=args.overwrite,
    )
    print(f'{out} holds {args.num_train} training and {args.num_test} test images')


main = command('digits_voc', __doc__, add_arguments, run)

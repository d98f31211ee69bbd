"""Draws test images with predicted and ground-truth boxes, as one picture."""

import argparse
from pathlib import Path

from .common import WrongArguments, command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', type=Path, default=Path('detections.png'), help='picture to write')
    parser.add_argument('--num', type=int, default=12, help='number of test images')
    parser.add_argument('--score-thr', type=float, default=0.3, help='minimum score of the boxes that are drawn')


def run(args: argparse.Namespace) -> None:
    """Draws."""
    if args.num < 1:
        raise WrongArguments(f'--num must be >= 1, found {args.num}')
    from ..analysis.detections import draw_detections

    figure = draw_detections(args.config, args.checkpoint, args.num, args.score_thr)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(f'Detections drawn: {args.out}')


main = command('draw_detections', __doc__, add_arguments, run)

"""Plots loss weights and losses of one or several runs, from mmengine's logs.

Runs whose folders differ only in their seed (slf_s0 and slf_s1, static/seed_0 and static/seed_1) are drawn as one
line, their mean, with a band for their range.

    slf-mmdet plot work_dirs/slf
    slf-mmdet plot work_dirs/slf_s* work_dirs/static_s* --out weights.svg
"""

import argparse
from pathlib import Path

from .common import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('runs', nargs='+', type=Path, help='work dirs of training runs, or their scalars.json')
    parser.add_argument(
        '--out', type=Path, help='picture to write, .png, .svg or .pdf (default: weights.png beside the first log)'
    )
    parser.add_argument('--each', action='store_true', help='a line for each run, whatever its name')


def run(args: argparse.Namespace) -> None:
    """Draws."""
    from ..analysis import draw_trajectories, group_by_seed, read_curves

    first = args.runs[0]
    out = args.out or (first if first.is_dir() else first.parent) / 'weights.png'
    groups = {str(run): [run] for run in args.runs} if args.each else group_by_seed(args.runs)
    figure = draw_trajectories({name: [read_curves(run) for run in runs] for name, runs in groups.items()})
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    print(f'Weights drawn: {out}')


main = command('plot_weights', __doc__, add_arguments, run, registers=False)

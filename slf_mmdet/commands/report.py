"""Writes the report of a run: one HTML file with metrics, weights, warnings, detections and config changes.

Several runs are shown side by side, and each by itself below.

Examples:
    slf-mmdet report work_dirs/slf
    slf-mmdet report work_dirs/static work_dirs/slf --out report.html
"""

import argparse
from pathlib import Path

from .common import WrongArguments, command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('work_dirs', type=Path, nargs='+', metavar='work_dir', help='of a training run')
    parser.add_argument('--out', type=Path, help='HTML file to write (default: report.html in the first work dir)')
    parser.add_argument(
        '--config',
        type=Path,
        help='config file of the run, to compare it with its base (default: ours of the same name)',
    )
    parser.add_argument('--pictures', type=int, default=12, help='largest number of pictures (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    """Writes the file."""
    for work_dir in args.work_dirs:
        if work_dir.is_file():
            raise WrongArguments(f'work_dir must be the folder of a run, found the file {work_dir}')
    if args.pictures < 0:
        raise WrongArguments(f'--pictures must be >= 0, found {args.pictures}')
    from mmdet.utils import register_all_modules

    from ..analysis.report import write_report

    register_all_modules()
    out = args.out or args.work_dirs[0] / 'report.html'
    write_report(args.work_dirs, out, args.config, args.pictures)
    print(f'Report written: {out}')


main = command('report', __doc__, add_arguments, run)

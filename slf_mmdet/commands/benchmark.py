"""Images per second of detectors at batch size 1: from array to boxes, and of the network alone.

mmdet's own ``benchmark.py`` needs a GPU, a checkpoint and the images; this one needs none of them, compares several
configs in interleaved rounds, and takes mmdet's configs, too. Without ``--checkpoint`` weights are random, and fewer
boxes reach NMS than after a training.

Example:
    slf-mmdet benchmark configs/yolov1/yolov1_d*-448px.py --threads 2
"""

import argparse
from pathlib import Path

from .common import WrongArguments, add_cfg_options, command, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('configs', metavar='CONFIG', nargs='+')
    parser.add_argument('--checkpoint', help='weights, with a single CONFIG')
    parser.add_argument('--device', help='default: cuda where there is a GPU, else cpu')
    parser.add_argument('--threads', type=int, help='of the CPU (default: that of torch)')
    parser.add_argument('--size', type=int, nargs=2, default=(500, 375), help='width and height of the image')
    parser.add_argument('--rounds', type=int, default=20, help='measured calls; the median is reported')
    add_cfg_options(parser, 'every config')


def run(args: argparse.Namespace) -> int:
    """Prints a table."""
    if args.checkpoint and len(args.configs) > 1:
        raise WrongArguments(f'--checkpoint needs a single CONFIG, found {len(args.configs)}')
    if args.threads is not None and args.threads < 1:
        raise WrongArguments(f'--threads must be >= 1, found {args.threads}')
    if args.rounds < 1:
        raise WrongArguments(f'--rounds must be >= 1, found {args.rounds}')
    if min(args.size) < 1:
        raise WrongArguments(f'--size must be >= 1, found {args.size[0]} {args.size[1]}')
    import torch
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from ..analysis.speed import images_per_second

    if args.threads:
        torch.set_num_threads(args.threads)
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    options = options_of(args.cfg_options)
    found = images_per_second(args.configs, args.size, args.rounds, device, args.checkpoint, options)
    table = Table('config', 'images/s, array to boxes', 'images/s, network', box=box.MARKDOWN)
    for config, speeds in found.items():
        table.add_row(Path(config).stem, *(f'{speed:.1f}' for speed in speeds))
    console = Console(width=140, highlight=False)
    console.print(table)
    threads = f', {torch.get_num_threads()} thread(s)' if device == 'cpu' else ''
    width, height = args.size
    console.print(f'batch 1, image of {width} x {height}, {device}{threads}, torch {torch.__version__}')
    return 0


main = command('benchmark', __doc__, add_arguments, run)

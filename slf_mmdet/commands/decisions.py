"""Draws what a decision network learned: the weights of images over the number and the size of their objects."""

import argparse
from pathlib import Path

from .common import WrongArguments, add_cfg_options, command, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config', help='of a detector with an SLFBalancer')
    parser.add_argument('checkpoint', help='of its training; published checkpoints have no balancer')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='val', help='default: %(default)s')
    parser.add_argument('--num', type=int, default=1000, help='largest number of images (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('decisions.png'), help='picture to write, .png, .svg or .pdf')
    add_cfg_options(parser, 'the config')


def run(args: argparse.Namespace) -> None:
    """Draws, and prints a table."""
    if args.num < 1:
        raise WrongArguments(f'--num must be >= 1, found {args.num}')
    import torch
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from rich.console import Console

    from ..analysis.decisions import draw_decisions, read_decisions, table

    register_all_modules()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(options_of(args.cfg_options))
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    decisions = read_decisions(cfg, args.checkpoint, args.split, args.num, device)
    Console().print(table(decisions))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_decisions(decisions).savefig(args.out, dpi=120)
    print(f'Decisions drawn: {args.out}')


main = command('decision_network', __doc__, add_arguments, run)

"""Draws what a decision network learned: the weights of images over the number and the size of their objects."""

import argparse
from pathlib import Path

import torch
from mmdet.utils import register_all_modules
from mmengine.config import Config, DictAction
from rich.console import Console

import slf_mmdet  # noqa: F401
from slf_mmdet.analysis.decisions import draw_decisions, read_decisions, table
from slf_mmdet.utils.tool_errors import user_errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='of a detector with an SLFBalancer')
    parser.add_argument('checkpoint', help='of its training; published checkpoints have no balancer')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='val', help='default: %(default)s')
    parser.add_argument('--num', type=int, default=1000, help='largest number of images (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('decisions.png'), help='picture to write, .png, .svg or .pdf')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='options merged into the config')
    args = parser.parse_args()
    register_all_modules()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    decisions = read_decisions(cfg, args.checkpoint, args.split, args.num, device)
    Console().print(table(decisions))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_decisions(decisions).savefig(args.out, dpi=120)
    print(f'Decisions drawn: {args.out}')


if __name__ == '__main__':
    with user_errors('decision_network'):
        main()

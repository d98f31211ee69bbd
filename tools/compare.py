"""Compares balancers, configs or options: trains and evaluates every column with every seed, paired, prints a table.

Examples::

    python tools/compare.py CONFIG --balancers static slf 'k3=slf(num_samples=3)' --seeds 0 1 2 --jobs 2
    python tools/compare.py CONFIG --configs OTHER_CONFIG third=THIRD_CONFIG
    python tools/compare.py CONFIG --vary model.head.loss.num_samples={1..10} 'softmax: model.head.loss.sampler=softmax'

The first column is the one that the others are compared with. Killed, the same command continues where it stopped.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import List, Sequence

from mmengine.config import Config, DictAction
from rich.console import Console

from slf_mmdet.comparison import (
    BalancerColumn,
    Column,
    ConfigColumn,
    Plan,
    Report,
    find_columns,
    parse_column,
    parse_configs,
    parse_options,
)
from slf_mmdet.comparison.balancer_columns import base_weights
from slf_mmdet.comparison.columns import AS_IT_IS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument(
        '--balancers',
        nargs='+',
        metavar='NAME',
        help='slf, \'slf(num_samples=3)\', "label=slf(...)", or config for the balancer that the config has '
        '(default: static slf, if neither --configs nor --vary is given)',
    )
    parser.add_argument('--configs', nargs='+', default=[], metavar='[LABEL=]CONFIG', help='other configs')
    parser.add_argument(
        '--vary',
        nargs='+',
        default=[],
        metavar='OPTIONS',
        help="options of the config for one column: key=value, or 'label: key=value key=value'",
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/compare/CONFIG')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument('--metric', help="key of the evaluator's metrics (default: the mAP, or the first one)")
    parser.add_argument(
        '--rule', choices=['greater', 'less'], default='greater', help='which is better; decides the tuned column'
    )
    parser.add_argument('--weights', choices=['grid', 'random'], help='adds a column of tuned static weights')
    parser.add_argument('--trials', type=int, default=8, help='points of --weights random')
    parser.add_argument(
        '--tune-seeds', nargs='+', type=int, default=[1000], help='seeds of the points that are tried, not reported'
    )
    parser.add_argument('--report-only', action='store_true', help='the table of what is finished, without running')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='options merged into every config')
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error(f'--jobs must be >= 1, found {args.jobs}')
    return args


def find_all_columns(args: argparse.Namespace, configs: Sequence[ConfigColumn]) -> List[Column]:
    """The columns in their order: balancers, or the config as it is; other configs; options."""
    if args.balancers is not None:
        first = [parse_column(text) for text in args.balancers]
    elif args.configs or args.vary:
        first = [Column(configs[0].label if args.configs else AS_IT_IS)]
    else:
        first = [parse_column(text) for text in ('static', 'slf')]
    return [*first, *configs[1:], *(parse_options(text) for text in args.vary)]


def tune(cfg: Config, args: argparse.Namespace, work_dir: Path, console: Console) -> Column:
    """Tries static points on seeds of their own and returns the best by the validation metric."""
    weights = base_weights(cfg)
    start = BalancerColumn('static', dict(type='StaticBalancer', base_weights=weights))
    points = [start, *find_columns(weights, args.weights, args.trials)]
    plan = Plan(cfg, points, args.tune_seeds, work_dir / f'tune_{args.weights}')
    console.print(f'Tuning the static weights: {len(plan.cells)} runs')
    if not args.report_only and plan.run(args.jobs, console):
        raise RuntimeError('a run of the tuning failed: its column would not be the best one')
    report = Report(plan, args.metric, split='val')
    report.show(console)
    report.save()
    best = (max if args.rule == 'greater' else min)(report.rows, key=lambda row: row.mean)
    chosen = next(point for point in points if point.label == best.label)
    spread = statistics.fmean(best.values.values())
    console.print(f'Tuned static weights: {best.label} ({spread:.2f}), {chosen.balancer}')
    return BalancerColumn(f'tuned ({chosen.label})', chosen.balancer)


def main() -> int:
    args = parse_args()
    console = Console()
    configs = parse_configs([args.config, *args.configs], args.cfg_options)
    cfg = configs[0].cfg
    work_dir = args.work_dir or Path('work_dirs') / 'compare' / Path(args.config.rpartition('=')[2]).stem
    columns = find_all_columns(args, configs)
    Plan(cfg, columns, args.seeds, work_dir)  # settings are checked before hours of tuning
    if args.weights:
        columns.append(tune(cfg, args, work_dir, console))
    plan = Plan(cfg, columns, args.seeds, work_dir)
    failed = [] if args.report_only else plan.run(args.jobs, console)
    report = Report(plan, args.metric)
    report.show(console)
    console.print('Written:', *report.save())
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

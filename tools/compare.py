"""Compares balancers, configs or options: trains and evaluates every arm with every seed, and prints a table.

Examples::

    python tools/compare.py CONFIG --balancers static slf "p=slf(sampler=dict(type='Softmax'))" --seeds 0 1 2 --jobs 2
    python tools/compare.py CONFIG --balancers static slf --parts cls=loss_cls "rpn=loss_rpn_.*" box=loss_bbox,loss_iou
    python tools/compare.py CONFIG --configs OTHER_CONFIG third=THIRD_CONFIG
    python tools/compare.py CONFIG --vary model.head.loss.sampler.num_samples={1..10} 'lr: optim_wrapper.optimizer.lr=1'

An arm is a balancer, a config or a set of options. The others are compared with the first one, seed by seed. The same
command continues a comparison that was interrupted.
"""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

from mmengine.config import Config, DictAction
from rich.console import Console

from slf_mmdet.comparison import (
    Arm,
    BalancerArm,
    ConfigArm,
    Experiment,
    Report,
    find_arms,
    locked,
    parse_arm,
    parse_configs,
    parse_options,
    parse_parts,
    with_parts,
)
from slf_mmdet.comparison.arms import AS_IT_IS
from slf_mmdet.comparison.balancer_arms import base_weights
from slf_mmdet.comparison.held_out import on_held_out
from slf_mmdet.utils.tool_errors import user_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument(
        '--balancers',
        nargs='+',
        metavar='NAME',
        help="slf, 'slf(kl_weight=1)', 'label=slf(...)', or config for the balancer that the config has "
        '(default: static slf, if neither --configs nor --vary is given)',
    )
    parser.add_argument(
        '--parts',
        nargs='+',
        metavar='PART=LOSS',
        help='what the balancers weigh, if the model is a detector without a balancer of its own: for each part keys '
        'of losses, or regular expressions that match them, separated by commas (default: each loss is a part)',
    )
    parser.add_argument('--configs', nargs='+', default=[], metavar='[LABEL=]CONFIG', help='other configs')
    parser.add_argument(
        '--vary',
        nargs='+',
        default=[],
        metavar='OPTIONS',
        help="options of the config for one arm: key=value, or 'label: key=value key=value'",
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/compare/CONFIG')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument('--metric', help="key of the evaluator's metrics (default: the mAP, or the first one)")
    parser.add_argument(
        '--rule',
        choices=['greater', 'less'],
        default='greater',
        help='whether a greater or a smaller metric is better; used by --weights',
    )
    parser.add_argument('--weights', choices=['grid', 'random'], help='add an arm of tuned static weights')
    parser.add_argument('--trials', type=int, default=8, help='number of weights that --weights random tries')
    parser.add_argument(
        '--tune-seeds', nargs='+', type=int, default=[1000], help='seeds for the tuning, which are not reported'
    )
    parser.add_argument(
        '--held-out',
        type=float,
        metavar='SHARE',
        help='train on the other training images and evaluate on this share of them: for choices of settings, which '
        'then do not look at the images of validation and test',
    )
    parser.add_argument('--report-only', action='store_true', help='only print the table of the finished runs')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='options merged into every config')
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error(f'--jobs must be >= 1, found {args.jobs}')
    return args


def find_all_arms(args: argparse.Namespace, configs: Sequence[ConfigArm]) -> List[Arm]:
    """The arms in their order: balancers, or the config as it is; other configs; options."""
    if args.balancers is not None:
        first = [parse_arm(text) for text in args.balancers]
    elif args.configs or args.vary:
        first = [Arm(configs[0].label if args.configs else AS_IT_IS)]
    else:
        first = [parse_arm(text) for text in ('static', 'slf')]
    return [*first, *configs[1:], *(parse_options(text) for text in args.vary)]


def tune(cfg: Config, args: argparse.Namespace, work_dir: Path, console: Console) -> Arm:
    """Tries static weights on seeds of their own and returns the best by the validation metric."""
    settings: Dict[str, Any] = {} if args.parts is None else dict(parts=parse_parts(args.parts))
    weights = base_weights(cfg, **settings)
    start = BalancerArm('static', dict(type='StaticBalancer', base_weights=weights, **settings))
    points = [start, *find_arms(weights, args.weights, args.trials, **settings)]
    experiment = Experiment(cfg, points, args.tune_seeds, work_dir / f'tune_{args.weights}')
    console.print(f'Tuning the static weights: {len(experiment.runs)} runs')
    if not args.report_only and experiment.run(args.jobs, console):
        raise ChildProcessError('a run of the tuning failed, so the best static weights are not known.')
    report = Report(experiment, args.metric, split='val')
    report.show(console)
    report.save()
    if report.missing:
        raise ValueError(f'the tuning is not finished, {len(report.missing)} runs are missing: run it first.')
    best = (max if args.rule == 'greater' else min)(report.rows, key=lambda row: row.mean)
    chosen = next(point for point in points if point.label == best.label)
    console.print(f'Tuned static weights: {best.label} ({best.mean:.2f}), {chosen.balancer}')
    return BalancerArm(f'tuned ({chosen.label})', chosen.balancer)


def main() -> int:
    args = parse_args()
    console = Console()
    configs = parse_configs([args.config, *args.configs], args.cfg_options)
    if args.held_out is not None:
        configs = [dataclasses.replace(arm, cfg=on_held_out(arm.cfg, args.held_out)) for arm in configs]
    cfg = configs[0].cfg
    work_dir = args.work_dir or Path('work_dirs') / 'compare' / Path(args.config.rpartition('=')[2]).stem
    arms = find_all_arms(args, configs)
    if args.parts is not None:
        arms = with_parts(arms, parse_parts(args.parts), cfg)
    Experiment(cfg, arms, args.seeds, work_dir)  # checks the settings before hours of tuning
    with contextlib.nullcontext() if args.report_only else locked(work_dir):
        if args.weights:
            arms.append(tune(cfg, args, work_dir, console))
        experiment = Experiment(cfg, arms, args.seeds, work_dir)
        failed = [] if args.report_only else experiment.run(args.jobs, console)
        report = Report(experiment, args.metric)
        report.show(console)
        console.print('Written:', *report.save())
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        with user_errors('compare'):
            sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('Interrupted. The same command continues where it stopped.')

"""What ``slf-mmdet compare`` does with its arguments."""

import argparse
import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Sequence

from mmengine.config import Config
from rich.console import Console

from . import (
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
from .arms import AS_IT_IS
from .balancer_arms import base_weights
from .held_out import on_held_out


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
    report = Report(experiment, args.metric, split='val', rule=args.rule)
    report.show(console)
    report.save()
    if report.missing:
        raise ValueError(f'the tuning is not finished, {len(report.missing)} runs are missing: run it first.')
    best = (max if report.rule == 'greater' else min)(report.rows, key=lambda row: row.mean)
    chosen = next(point for point in points if point.label == best.label)
    console.print(f'Tuned static weights: {best.label} ({best.mean:.2f}), {chosen.balancer}')
    return BalancerArm(f'tuned ({chosen.label})', chosen.balancer)


def compare(args: argparse.Namespace, options: Dict[str, Any]) -> int:
    """Runs a comparison; returns its exit code.

    Args:
        args: of the command.
        options: changes to every config.
    """
    console = Console()
    configs = parse_configs([args.config, *args.configs], options)
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
        report = Report(experiment, args.metric, rule=args.rule)
        report.show(console)
        console.print('Written:', *report.save())
    return 1 if failed else 0

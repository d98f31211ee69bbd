"""What ``slf-mmdet compare`` does with its arguments."""

import argparse
import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from mmengine.config import Config
from rich.console import Console

from ..utils.metrics import rule_of
from . import (
    Arm,
    BalancerArm,
    ConfigArm,
    Experiment,
    LocalEngine,
    RayEngine,
    Report,
    WeightSearch,
    grid_arms,
    locked,
    parse_arm,
    parse_configs,
    parse_options,
    parse_parts,
    with_parts,
)
from .arms import AS_IT_IS
from .balancer_arms import base_weights
from .engines import Engine
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


def find_engine(args: argparse.Namespace) -> Engine:
    """Where the runs are computed."""
    if args.engine == 'ray':
        jobs = {} if args.jobs is None else dict(jobs=args.jobs)
        return RayEngine(cpus=args.cpus, gpus=args.gpus, address=args.ray_address, **jobs)
    return LocalEngine(args.jobs or 1)


def tune(cfg: Config, args: argparse.Namespace, work_dir: Path, engine: Optional[Engine], console: Console) -> Arm:
    """Tries static weights on seeds of their own and returns the best by the validation metric.

    Args:
        cfg: the config, with all options merged.
        args: of the command.
        work_dir: of the comparison.
        engine: where the runs are computed; ``None`` to read what is there.
        console: for the progress.
    """
    settings: Dict[str, Any] = {} if args.parts is None else dict(parts=parse_parts(args.parts))
    weights = base_weights(cfg, **settings)
    folder = work_dir / f'tune_{args.weights}'
    if args.weights == 'grid':
        chosen = tune_by_grid(cfg, weights, args, folder, engine, console, settings)
    else:
        rule = args.rule or (rule_of(args.metric) if args.metric else 'greater')
        search = WeightSearch(cfg, weights, args.trials, args.tune_seeds, folder, args.metric, rule, **settings)
        if engine is not None:
            console.print(f'Tuning the static weights: {args.trials} trials')
            search.run(engine, console)
            console.print('Written:', *search.save())
        chosen = search.best()
    console.print(f'Tuned static weights: {chosen.label}, {chosen.balancer}')
    return BalancerArm(f'tuned ({chosen.label})', chosen.balancer)


def tune_by_grid(
    cfg: Config,
    weights: Dict[str, float],
    args: argparse.Namespace,
    folder: Path,
    engine: Optional[Engine],
    console: Console,
    settings: Dict[str, Any],
) -> BalancerArm:
    """The best of the base weights and the points of :func:`grid_arms`; arguments as of :func:`tune`."""
    start = BalancerArm('static', dict(type='StaticBalancer', base_weights=weights, **settings))
    points = [start, *grid_arms(weights, **settings)]
    experiment = Experiment(cfg, points, args.tune_seeds, folder)
    if engine is not None:
        console.print(f'Tuning the static weights: {len(experiment.runs)} runs')
        if experiment.run(engine, console):
            raise ChildProcessError('a run of the tuning failed, so the best static weights are not known.')
    report = Report(experiment, args.metric, split='val', rule=args.rule)
    report.show(console)
    report.save()
    if report.missing:
        raise ValueError(f'the tuning is not finished, {len(report.missing)} runs are missing: run it first.')
    best = (max if report.rule == 'greater' else min)(report.rows, key=lambda row: row.mean)
    return next(point for point in points if point.label == best.label)


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
    engine = None if args.report_only else find_engine(args)
    with contextlib.nullcontext() if engine is None else locked(work_dir):
        if args.weights:
            arms.append(tune(cfg, args, work_dir, engine, console))
        experiment = Experiment(cfg, arms, args.seeds, work_dir)
        failed = [] if engine is None else experiment.run(engine, console)
        report = Report(experiment, args.metric, rule=args.rule)
        report.show(console)
        console.print('Written:', *report.save())
    return 1 if failed else 0

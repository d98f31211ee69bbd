"""Learning curves of a comparison, and when an arm reaches the final value of the first one."""

import csv
import math
import statistics
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt

from ..utils.checks import is_number

Curve = List[Tuple[int, float]]
ENOUGH = 3  # validations from which a curve says when a value is reached


def read_curve(result: Mapping, metric: str, factor: float = 1.0) -> Curve:
    """(iteration, metric) of every validation of a run, in order; those without a finite value are left out."""
    validations = {int(step): metrics.get(metric) for step, metrics in result.get('validations', {}).items()}
    return [(step, factor * value) for step, value in sorted(validations.items()) if is_number(value)]


def first_reach(curve: Curve, level: float) -> Optional[float]:
    """The iteration at which a curve, linear between its points, first has a value; ``None`` if it never does."""
    before: Optional[Tuple[int, float]] = None
    for step, value in curve:
        if value >= level:
            if before is None or before[1] == value:
                return float(step)
            share = (level - before[1]) / (value - before[1])
            return before[0] + share * (step - before[0])
        before = (step, value)
    return None


def time_to_reach(curves: Mapping[int, Curve], first: Mapping[int, Curve], rule: str = 'greater') -> Optional[float]:
    """Median over the seeds of the share of the iterations after which an arm has the final value of the first arm.

    Args:
        curves: seed -> curve of the arm.
        first: seed -> curve of the first arm.
        rule: ``'less'`` where a smaller value is better.

    Returns:
        inf where the arm does not reach it in the median; ``None`` where a curve has fewer than three points.
    """
    seeds = [seed for seed in curves if seed in first]
    if not seeds or any(len(each[seed]) < ENOUGH for each in (curves, first) for seed in seeds):
        return None
    sign = -1 if rule == 'less' else 1
    rising = {seed: [(step, sign * value) for step, value in curves[seed]] for seed in seeds}
    reached = [(first_reach(rising[seed], sign * first[seed][-1][1]), first[seed][-1][0]) for seed in seeds]
    return statistics.median(math.inf if step is None else step / last for step, last in reached)


def save_curves(path: Path, curves: Mapping[str, Mapping[int, Curve]], metric: str) -> None:
    """Writes a csv with a line for each validation: arm, seed, iteration and the metric."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['arm', 'seed', 'iter', metric])
        for arm, by_seed in curves.items():
            for seed, curve in by_seed.items():
                writer.writerows([arm, seed, step, value] for step, value in curve)


def plot_curves(path: Path, curves: Mapping[str, Mapping[int, Curve]], label: str) -> None:
    """Draws each arm's mean over its seeds, and the single runs behind it."""
    figure, axes = plt.subplots(figsize=(7, 4), layout='constrained')
    for index, (arm, by_seed) in enumerate(curves.items()):
        for curve in by_seed.values():
            axes.plot(*zip(*curve), color=f'C{index}', alpha=0.25, linewidth=1)
        axes.plot(*zip(*mean_curve(list(by_seed.values()))), color=f'C{index}', marker='o', label=arm)
    axes.set_xlabel('iteration')
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, format='png', dpi=120)
    plt.close(figure)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean at the iterations that all curves have."""
    found: Dict[int, List[float]] = {}
    for curve in curves:
        for step, value in curve:
            found.setdefault(step, []).append(value)
    return [(step, statistics.fmean(values)) for step, values in sorted(found.items()) if len(values) == len(curves)]

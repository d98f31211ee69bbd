"""The figures of a report: how a run, or several, went."""

from typing import Mapping, Optional, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..utils.metrics import main_metric
from .logs import Curve

PANELS = dict(loss='loss', loss_discriminator='discriminator loss', loss_generator='generator loss', lr='learning rate')
Curves = Mapping[str, Curve]
Validations = Mapping[int, Mapping[str, float]]


def draw_progress(runs: Mapping[str, Tuple[Curves, Validations]]) -> Optional[Figure]:
    """Losses, learning rate and the main metric of runs, a line for each; ``None`` where the logs have none of them.

    Args:
        runs: name -> scalars and validations.
    """
    metric = main_metric(key for _, validations in runs.values() for metrics in validations.values() for key in metrics)
    panels = [(key, title) for key, title in PANELS.items() if _anywhere(runs, key)]
    count = len(panels) + (metric is not None)
    if not count:
        return None
    figure = Figure(figsize=(3.2 * count + 0.6, 3.0), layout='constrained')
    row = figure.subplots(1, count, squeeze=False)[0]
    for axes, (key, title) in zip(row, panels):
        for color, (name, (curves, _)) in enumerate(runs.items()):
            if key in curves:
                axes.plot(*curves[key], label=name, color=f'C{color}', linewidth=1)
        axes.set(title=title, xlabel='iteration')
        if key != 'lr' and all((curves[key].values > 0).all() for curves, _ in runs.values() if key in curves):
            axes.set_yscale('log')
    if metric is not None:
        for color, (name, (_, validations)) in enumerate(runs.items()):
            points = [(step, metrics[metric]) for step, metrics in validations.items() if metric in metrics]
            if points:
                row[-1].plot(*zip(*points), label=name, color=f'C{color}', marker='o', markersize=3)
        row[-1].set(title=metric, xlabel='epoch, or iteration of the evaluation')
    for axes in row:
        axes.grid(alpha=0.3)
    if len(runs) > 1:
        row[-1].legend(fontsize='small')
    return figure


def draw_measured(curves: Curves) -> Optional[Figure]:
    """The average precision lost with each part, as SLF measured it; ``None`` where it did not."""
    keys = [key for key in curves if key.startswith('ap_lost_')]
    if not keys:
        return None
    figure = Figure(figsize=(8.5, 2.6), layout='constrained')
    axes = figure.subplots()
    for key in keys:
        axes.plot(*curves[key], label=key[len('ap_lost_') :])
    axes.axhline(0, color='0.5', linewidth=0.8)
    axes.set(ylabel='average\nprecision lost', xlabel='iteration')
    _legend_outside(axes)
    return figure


def draw_evenness(curves: Curves) -> Optional[Figure]:
    """Entropy of the weights and shares of the objective, as ``BalanceMonitorHook`` logged them."""
    together = {
        'entropy of the weights': 'weights_entropy',
        'steps in which the smallest\npart has the largest weight': 'weights_smallest_first',
    }
    shares = [key for key in curves if key.startswith('share_')]
    if not shares or not all(key in curves for key in together.values()):
        return None
    figure = Figure(figsize=(8.5, 4), layout='constrained')
    upper, lower = figure.subplots(2, 1, sharex=True)
    for label, key in together.items():
        upper.plot(*curves[key], label=label)
    upper.set(ylim=(-0.05, 1.05), ylabel='fraction')
    lower.stackplot(curves[shares[0]].iters, *(curves[key].values for key in shares), labels=[k[6:] for k in shares])
    lower.set(ylim=(0, 1), ylabel='share of\nthe objective', xlabel='iteration')
    for axes in (upper, lower):
        _legend_outside(axes)
    return figure


def _anywhere(runs: Mapping[str, Tuple[Curves, Validations]], key: str) -> bool:
    return any(key in curves for curves, _ in runs.values())


def _legend_outside(axes: Axes) -> None:
    axes.legend(loc='upper left', bbox_to_anchor=(1, 1), fontsize='small')
    axes.grid(alpha=0.3)

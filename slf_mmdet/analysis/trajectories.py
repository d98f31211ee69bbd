"""Plots weights and losses over a training."""

from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from .logs import Curve, part_names
from .seeds import Band, over_seeds

Curves = Mapping[str, Curve]
# Key of a part's scalar, label; rows of the figure
QUANTITIES = (('balance_{}', 'weight'), ('raw_{}', 'unweighted\nloss'), ('loss_{}', 'weighted\nloss'))
# Ratio of the largest to the smallest value between which an axis is logarithmic
NARROWEST, WIDEST = 3, 1e6


def draw_trajectories(groups: Mapping[str, Sequence[Curves]]) -> Figure:
    """Draws weights, unweighted losses (where they were logged) and weighted losses.

    One group is one column with a line for each part; several are one column for each part with a line for each group.
    A line is the mean over the runs of its group, the band around it their range.

    Args:
        groups: name -> scalars of its runs, see :func:`~slf_mmdet.analysis.read_curves`.

    Raises:
        ValueError: a run had no balancer.
    """
    parts: List[str] = []
    for name, runs in groups.items():
        for curves in runs:
            if not part_names(curves):
                raise ValueError(f'{name}: the log has no key balance_<part>; did this run use a balancer?')
            parts += [part for part in part_names(curves) if part not in parts]
    rows = [
        (key, title)
        for key, title in QUANTITIES
        if any(key.format(part) in curves for runs in groups.values() for curves in runs for part in parts)
    ]
    by_group = len(groups) > 1
    columns = parts if by_group else [next(iter(groups))]
    size = (max(7.0, 3.0 * len(columns)), 0.8 + 2.2 * len(rows))
    figure = Figure(figsize=size, layout='constrained')
    grid = figure.subplots(len(rows), len(columns), sharex=True, squeeze=False)
    for row, (key, title) in zip(grid, rows):
        for axes, column in zip(row, columns):
            lines = [(name, column) for name in groups] if by_group else [(column, part) for part in parts]
            bands = _bands(groups, key, lines)
            for i, (name, part) in enumerate(lines):
                if (name, part) in bands:
                    label = _label(name, groups) if by_group else part
                    _draw(axes, bands[name, part], label, f'C{i}')
            _scale(axes, list(bands.values()))
            axes.grid(alpha=0.3)
        row[0].set_ylabel(title)
    for axes, column in zip(grid[0], columns):
        axes.set_title(column if by_group else _label(column, groups))
    for axes in grid[-1]:
        axes.set_xlabel('iteration')
    handles = {label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), ncols=min(len(handles), 6), loc='outside lower center')
    return figure


def _bands(
    groups: Mapping[str, Sequence[Curves]], key: str, lines: Sequence[Tuple[str, str]]
) -> Dict[Tuple[str, str], Band]:
    found = {}
    for name, part in lines:
        curves = [run[key.format(part)] for run in groups[name] if key.format(part) in run]
        if curves:
            found[name, part] = over_seeds(curves)
    return found


def _label(name: str, groups: Mapping[str, Sequence[Curves]]) -> str:
    return f'{name} ({len(groups[name])} runs)' if len(groups[name]) > 1 else name


def _draw(axes: Axes, band: Band, label: str, color: str) -> None:
    axes.plot(band.iters, band.mean, label=label, color=color, marker='.' if len(band.iters) == 1 else None)
    axes.fill_between(band.iters, band.low, band.high, color=color, alpha=0.2, linewidth=0)


def _scale(axes: Axes, bands: Sequence[Band]) -> None:
    values = np.concatenate([band.mean for band in bands]) if bands else np.ones(1)
    values = values[np.isfinite(values)]
    ratio = values.max() / values.min() if len(values) and values.min() > 0 else 0
    if NARROWEST < ratio < WIDEST:
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 100 else (1,)))
        axes.yaxis.set_major_formatter('{x:g}')
        axes.yaxis.set_minor_formatter('')

"""The table of a comparison: means, spread, paired differences with their confidence intervals, time."""

import csv
import math
import re
import statistics
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from mmengine.utils import mkdir_or_exist
from rich.console import Console
from rich.table import Table
from scipy import stats

from .columns import Column
from .plan import Cell, Plan

CONFIDENCE = 0.95
# Below this share of common weights two networks are not the same: a last layer with or without a bias is above it.
SAME_NETWORK = 0.95
# Scores of mmpretrain, which are in percent; those of mmdet are shares.
_PERCENT = ('accuracy/', 'single-label/', 'multi-label/', 'retrieval/')


@dataclass(frozen=True)
class Row:
    """One column of the comparison, summed up.

    Args:
        label: of the column.
        values: seed -> metric, for the seeds that are finished.
        differences: seed -> metric minus that of the first column.
        interval: of the mean difference, at 95 % (Student's t); ``None`` with fewer than two pairs.
        seconds: median seconds per iteration, seed by seed.
        overhead: geometric mean over the seeds of the time per iteration relative to the first column.
    """

    label: str
    values: Dict[int, float]
    differences: Dict[int, float]
    interval: Optional[Tuple[float, float]]
    seconds: Dict[int, float]
    overhead: Optional[float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values.values())

    @property
    def spread(self) -> Optional[float]:
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


def confidence_interval(differences: Sequence[float]) -> Optional[Tuple[float, float]]:
    """Of the mean of paired differences, Student's t at 95 %; ``None`` with fewer than two."""
    if len(differences) < 2:
        return None
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * error
    return mean - half, mean + half


def shared_values(first: Dict[str, list], second: Dict[str, list]) -> float:
    """Share of the larger of two networks that the other has too, by value; 1 where either is not known.

    Args:
        first: as :func:`~slf_mmdet.comparison.record.describe_network` gives it.
        second: likewise.
    """
    if not first or not second:
        return 1.0
    same = sum(count for key, (count, digest) in first.items() if second.get(key) == [count, digest])
    return same / max(sum(count for count, _ in network.values()) for network in (first, second))


class Report:
    """Results of the finished cells of a plan.

    Args:
        plan: what was to run.
        metric: key of the evaluator's metrics, ``pascal_voc/mAP`` for instance; ``None`` takes the first key that
            ends with mAP, or the first one.
        split: ``'test'`` or ``'val'``: which of the two loops' metrics.

    Raises:
        ValueError: nothing is finished, or the metric is not among those that were measured.
    """

    def __init__(self, plan: Plan, metric: Optional[str] = None, split: str = 'test') -> None:
        self.plan = plan
        self.split = split
        self.results: Dict[Cell, dict] = {}
        for cell in plan.cells:
            result = cell.result()
            if result is not None:
                self.results[cell] = result
        if not self.results:
            raise ValueError(f'{plan.work_dir}: no run is finished yet, nothing to report.')
        keys = list(dict.fromkeys(key for result in self.results.values() for key in result[split]))
        if metric is None:
            metric = next((key for key in keys if key.endswith('mAP')), keys[0] if keys else None)
        if metric not in keys:
            raise ValueError(f'metric {metric!r} was not measured; there are {keys}.')
        self.metric = str(metric)
        self.results = {cell: result for cell, result in self.results.items() if metric in result[split]}
        self.factor, self.unit = _scale(self.metric)
        self.rows = [self._row(column.label) for column in plan.columns]
        self.rows = [row for row in self.rows if row.values]

    def _by_seed(self, label: str) -> Dict[int, dict]:
        return {cell.seed: result for cell, result in self.results.items() if cell.column.label == label}

    def _row(self, label: str) -> Row:
        ours, first = self._by_seed(label), self._by_seed(self.plan.columns[0].label)
        values = {seed: self.factor * result[self.split][self.metric] for seed, result in ours.items()}
        paired = [seed for seed in ours if seed in first] if label != self.plan.columns[0].label else []
        base = {seed: self.factor * first[seed][self.split][self.metric] for seed in paired}
        differences = {seed: values[seed] - base[seed] for seed in paired}
        ratios = [math.log(ours[seed]['seconds_per_iter'] / first[seed]['seconds_per_iter']) for seed in paired]
        return Row(
            label=label,
            values=values,
            differences=differences,
            interval=confidence_interval(list(differences.values())),
            seconds={seed: result['seconds_per_iter'] for seed, result in ours.items()},
            overhead=math.exp(statistics.fmean(ratios)) if ratios else None,
        )

    def unpaired(self) -> List[str]:
        """Columns that did not start from the same network, or did not see the same data, as the first one."""
        first, *others = self.plan.columns
        checks = (self._other_data, self._other_network)
        return [text for column in others for check in checks for text in check(column, first)]

    def _pairs(self, column: Column, first: Column) -> Iterator[Tuple[Cell, Cell]]:
        """The finished cells of two columns, seed by seed."""
        by_seed = {cell.seed: cell for cell in self.results if cell.column is first}
        return ((cell, by_seed[cell.seed]) for cell in self.results if cell.column is column and cell.seed in by_seed)

    def _other_data(self, column: Column, first: Column) -> Iterator[str]:
        prints = {
            cell.seed: {self.results[one]['fingerprint'] for one in (cell, other)}
            for cell, other in self._pairs(column, first)
        }
        seeds = [seed for seed, found in prints.items() if len(found - {None}) == 2]
        if seeds:
            yield f'{column.label} did not see the same images in the same order as {first.label}: seeds {seeds}'

    def _other_network(self, column: Column, first: Column) -> Iterator[str]:
        shares = {cell.seed: shared_values(cell.start(), other.start()) for cell, other in self._pairs(column, first)}
        shares = {seed: share for seed, share in shares.items() if share < SAME_NETWORK}
        if shares:
            yield (
                f'{column.label} did not begin with the network of {first.label}, of which it had '
                f'{max(shares.values()):.0%}: seeds {list(shares)}'
            )

    def cells(self) -> List[List[str]]:
        """The table as text, with its header."""
        header = [
            'column',
            f'{self.metric}{self.unit}',
            'seeds',
            f'vs. {self.plan.columns[0].label}',
            '95 % interval',
            's/iter',
            'time',
        ]
        lines = [header]
        for row in self.rows:
            spread = '' if row.spread is None else f' ± {row.spread:.2f}'
            lines.append(
                [
                    row.label,
                    f'{row.mean:.2f}{spread}',
                    str(len(row.values)),
                    f'{statistics.fmean(row.differences.values()):+.2f}' if row.differences else '',
                    f'{row.interval[0]:+.2f} to {row.interval[1]:+.2f}' if row.interval else '',
                    f'{statistics.median(row.seconds.values()):.4f}',
                    f'x{row.overhead:.2f}' if row.overhead is not None else '',
                ]
            )
        return lines

    def show(self, console: Console) -> None:
        """Prints the table."""
        header, *lines = self.cells()
        table = Table(*header)
        table.columns[0].overflow = 'fold'
        for column in table.columns[1:]:
            column.justify = 'right'
        for line in lines:
            table.add_row(*line)
        console.print(table)
        for warning in self.unpaired():
            console.print(f'[yellow]not paired[/]: {warning}')

    def save(self) -> List[Path]:
        """Writes ``comparison.md``, ``comparison.csv`` (one line per run, all metrics) and ``comparison.png``."""
        mkdir_or_exist(self.plan.work_dir)
        paths = [self.plan.work_dir / f'comparison.{ending}' for ending in ('md', 'csv', 'png')]
        paths[0].write_text(self._markdown(), encoding='utf-8')
        self._save_csv(paths[1])
        self._save_plot(paths[2])
        return paths

    def _markdown(self) -> str:
        header, *lines = self.cells()
        align = ['---', *['---:'] * (len(header) - 1)]
        rows = [f'| {" | ".join(line)} |' for line in (header, align, *lines)]
        note = (
            f'\nMean ± standard deviation over the seeds {self.plan.seeds}; differences are paired by seed, their '
            'interval is Student\'s t. "time" is the median time per iteration relative to the first line.\n'
        )
        return '\n'.join([*rows, note, *(f'Not paired: {warning}.\n' for warning in self.unpaired())])

    def _save_csv(self, path: Path) -> None:
        keys = sorted({key for result in self.results.values() for key in result[self.split]})
        with open(path, 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['column', 'seed', *keys, 'seconds_per_iter', 'seconds', 'iters'])
            for cell, result in self.results.items():
                metrics = [result[self.split].get(key, '') for key in keys]
                run = [result[key] for key in ('seconds_per_iter', 'seconds', 'iters')]
                writer.writerow([cell.column.label, cell.seed, *metrics, *run])

    def _save_plot(self, path: Path) -> None:
        names = [textwrap.fill(row.label, 30) for row in self.rows]
        lines = sum(max(2, 1 + name.count('\n')) for name in names)
        figure, axes = plt.subplots(figsize=(7, 1.2 + 0.225 * lines), layout='constrained')
        for seed in self.plan.seeds:
            points = [(row.values[seed], i) for i, row in enumerate(self.rows) if seed in row.values]
            axes.plot(*zip(*points), '-', color='0.85', zorder=1)
        for i, row in enumerate(self.rows):
            axes.scatter(list(row.values.values()), [i] * len(row.values), color='C0', alpha=0.5, zorder=2)
            axes.scatter([row.mean], [i], marker='|', s=400, color='C3', zorder=3)
        axes.axvline(self.rows[0].mean, color='0.5', linestyle='--', linewidth=1, zorder=0)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        figure.supxlabel(f'{self.metric}{self.unit}: runs, joined by seed, and their mean', fontsize='medium')
        axes.grid(axis='x', alpha=0.3)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _scale(metric: str) -> Tuple[float, str]:
    """Factor and unit of a metric for people, who read precision and recall in percent."""
    if metric.startswith(_PERCENT):
        return 1.0, ' [%]'
    return (100.0, ' [%]') if re.search(r'(^|[/_])(mAP|AP|AR|recall)[^/]*$', metric) else (1.0, '')

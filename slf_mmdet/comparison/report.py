"""The table of a comparison: means, standard deviations, paired differences with confidence intervals, time."""

import csv
import math
import re
import statistics
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from mmengine.utils import mkdir_or_exist
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..utils.checks import is_number
from ..utils.files import whole_file, write_text, writing
from ..utils.metrics import main_metric, rule_of
from .arms import Arm
from .curves import plot_curves, read_curve, save_curves, time_to_reach
from .experiment import Experiment
from .planned_run import Run
from .verdict import confidence_interval, verdicts

# Share of common weights from which two networks count as the same, so that a last layer may lack a bias
SAME_NETWORK = 0.95
REACH = 'iters'
# Metrics of mmpretrain, which are in percent; those of mmdet are in [0, 1]
_PERCENT = ('accuracy/', 'single-label/', 'multi-label/', 'retrieval/')
_CLUSTERING = 'clustering/'  # in [0, 1] as well; 0 where all images are in one cluster


@dataclass(frozen=True)
class Row:
    """Results of one arm.

    Args:
        label: of the arm.
        values: seed -> metric, for the seeds that are finished.
        differences: seed -> metric minus that of the first arm.
        interval: of the mean difference, at 95 % (Student's t); ``None`` with fewer than two pairs.
        seconds: median seconds per iteration, seed by seed.
        overhead: geometric mean over the seeds of the time per iteration relative to the first arm.
        reach: share of the iterations after which the final value of the first arm is reached, see
            :func:`~slf_mmdet.comparison.curves.time_to_reach`.
    """

    label: str
    values: Dict[int, float]
    differences: Dict[int, float]
    interval: Optional[Tuple[float, float]]
    seconds: Dict[int, float]
    overhead: Optional[float]
    reach: Optional[float]

    @property
    def mean(self) -> float:
        """Of the finished seeds; nan without any."""
        return statistics.fmean(self.values.values()) if self.values else math.nan

    @property
    def std(self) -> Optional[float]:
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


def shared_values(first: Dict[str, list], second: Dict[str, list]) -> float:
    """Share of the larger of two networks that the other has, too, with equal values; 1 where either is not known.

    Args:
        first: as :func:`~slf_mmdet.comparison.record.describe_network` gives it.
        second: likewise.
    """
    if not first or not second:
        return 1.0
    same = sum(count for key, (count, digest) in first.items() if second.get(key) == [count, digest])
    return same / max(sum(count for count, _ in network.values()) for network in (first, second))


class Report:
    """Results of an experiment. Every run is in it, with its value or by name.

    Args:
        experiment: its arms, seeds and work dir.
        metric: key of the evaluator's metrics, ``pascal_voc/mAP`` for instance; ``None`` takes the first key that
            ends with mAP, or the first one.
        split: ``'test'`` or ``'val'``: which of the two loops' metrics.
        rule: whether a ``'greater'`` or a smaller (``'less'``) value is better; ``None`` for what the metric's name
            says, see :func:`~slf_mmdet.utils.metrics.rule_of`.

    Attributes:
        missing: runs without a result, because they failed or have not finished.

    Raises:
        ValueError: nothing is finished, the metric is not among those that were measured, or a finished run has no
            finite value of it.
    """

    def __init__(
        self,
        experiment: Experiment,
        metric: Optional[str] = None,
        split: str = 'test',
        rule: Optional[str] = None,
    ) -> None:
        self.experiment = experiment
        self.split = split
        found = {run: run.result() for run in experiment.runs}
        self.results: Dict[Run, dict] = {run: result for run, result in found.items() if result is not None}
        self.missing = [run for run in experiment.runs if run not in self.results]
        if not self.results:
            raise ValueError(f'{experiment.work_dir}: no run is finished yet, nothing to report.')
        keys = list(dict.fromkeys(key for result in self.results.values() for key in result[split]))
        if metric is None:
            metric = main_metric(keys)
        if metric not in keys:
            raise ValueError(f'metric {metric!r} was not measured; there are {keys}.')
        self.metric = str(metric)
        without = [run.name for run, result in self.results.items() if not is_number(result[split].get(metric))]
        if without:
            raise ValueError(
                f'metric {metric!r} has no finite value in the finished runs {without}: leaving them out biases the '
                f'means. Look at their logs in {experiment.work_dir}, or choose another metric; there are {keys}.'
            )
        self.rule = rule or rule_of(self.metric)
        self.factor, self.unit = _scale(self.metric)
        self.curves = {
            arm.label: {
                seed: read_curve(result, self.metric, self.factor) for seed, result in self._by_seed(arm.label).items()
            }
            for arm in experiment.arms
        }
        self.rows = [self._row(arm.label) for arm in experiment.arms]

    def _by_seed(self, label: str) -> Dict[int, dict]:
        return {run.seed: result for run, result in self.results.items() if run.arm.label == label}

    def _row(self, label: str) -> Row:
        ours, first = self._by_seed(label), self._by_seed(self.experiment.arms[0].label)
        values = {seed: self.factor * result[self.split][self.metric] for seed, result in ours.items()}
        paired = [seed for seed in ours if seed in first] if label != self.experiment.arms[0].label else []
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
            reach=time_to_reach(self.curves[label], self.curves[self.experiment.arms[0].label], self.rule),
        )

    def unpaired(self) -> List[str]:
        """Arms that did not start from the same network, or did not see the same data, as the first one."""
        first, *others = self.experiment.arms
        checks = (self._other_data, self._other_network)
        return [text for arm in others for check in checks for text in check(arm, first)]

    def notes(self) -> List[str]:
        """What a reader of the means must know: runs that are missing, that detected nothing, or are not paired."""
        zeros = [
            run.name
            for run, result in self.results.items()
            if _of_detections(self.metric) and result[self.split][self.metric] == 0
        ]
        return [
            *(
                [f'missing, failed or not finished: {"; ".join(run.name for run in self.missing)}']
                if self.missing
                else []
            ),
            *([f'{self.metric} is 0, nothing was detected: {"; ".join(zeros)}'] if zeros else []),
            *(f'not paired: {warning}' for warning in self.unpaired()),
        ]

    def verdicts(self) -> List[str]:
        """A sentence for each arm but the first, see :func:`~slf_mmdet.comparison.verdict.verdicts`."""
        first, *others = self.rows
        effect = 1.0 if self.unit else round(0.01 * abs(first.mean), 12)
        name = self.metric.rpartition('/')[2]
        if not first.values or not effect:
            return []
        arms = {row.label: list(row.differences.values()) for row in others}
        return verdicts(first.label, arms, effect, f' {name}')

    def _pairs(self, arm: Arm, first: Arm) -> Iterator[Tuple[Run, Run]]:
        """The finished runs of two arms, seed by seed."""
        by_seed = {run.seed: run for run in self.results if run.arm is first}
        return ((run, by_seed[run.seed]) for run in self.results if run.arm is arm and run.seed in by_seed)

    def _other_data(self, arm: Arm, first: Arm) -> Iterator[str]:
        prints = {
            run.seed: {self.results[one]['fingerprint'] for one in (run, other)}
            for run, other in self._pairs(arm, first)
        }
        seeds = [seed for seed, found in prints.items() if len(found - {None}) == 2]
        if seeds:
            yield f'{arm.label} did not see the same images in the same order as {first.label}: seeds {seeds}'

    def _other_network(self, arm: Arm, first: Arm) -> Iterator[str]:
        shares = {run.seed: shared_values(run.start(), other.start()) for run, other in self._pairs(arm, first)}
        shares = {seed: share for seed, share in shares.items() if share < SAME_NETWORK}
        if shares:
            yield (
                f'{arm.label} did not begin with the network of {first.label}, of which it had '
                f'{max(shares.values()):.0%}: seeds {list(shares)}'
            )

    @property
    def _title(self) -> str:
        """The metric, its unit, and which way is better where it is not the usual one."""
        return f'{self.metric}{self.unit}' + (', less is better' if self.rule == 'less' else '')

    def table(self) -> List[List[str]]:
        """The table as text, with its header."""
        header = [
            'arm',
            self._title,
            'seeds',
            f'vs. {self.experiment.arms[0].label}',
            '95 % interval',
            's/iter',
            'time',
        ]
        with_reach = any(row.reach is not None for row in self.rows)
        if with_reach:
            header.append(REACH)
        lines = [header]
        seeds = set(self.experiment.seeds)
        for row in self.rows:
            std = '' if row.std is None else f' ± {row.std:.2f}'
            lines.append(
                [
                    row.label,
                    f'{row.mean:.2f}{std}' if row.values else '-',
                    f'{len(row.values)} of {len(seeds)}' if len(row.values) < len(seeds) else str(len(seeds)),
                    f'{statistics.fmean(row.differences.values()):+.2f}' if row.differences else '',
                    f'{row.interval[0]:+.2f} to {row.interval[1]:+.2f}' if row.interval else '',
                    f'{statistics.median(row.seconds.values()):.4f}' if row.seconds else '',
                    f'x{row.overhead:.2f}' if row.overhead is not None else '',
                    *([_reach(row.reach)] if with_reach else []),
                ]
            )
        return lines

    def show(self, console: Console) -> None:
        """Prints the table."""
        header, *lines = self.table()
        table = Table(*header)
        table.columns[0].overflow = 'fold'
        for column in table.columns[1:]:
            column.justify = 'right'
        for line in lines:
            table.add_row(*line)
        console.print(table)
        for sentence in self.verdicts():
            console.print(sentence, highlight=False, markup=False)
        for note in self.notes():
            console.print(f'[yellow]{escape(note)}[/]')

    def save(self) -> List[Path]:
        """Writes ``comparison.md``, ``comparison.csv`` (one line per run, all metrics) and ``comparison.png``.

        With several validations in a run also ``comparison_curves.csv``, a line for each, and ``..._curves.png``.
        """
        with writing(self.experiment.work_dir):
            mkdir_or_exist(self.experiment.work_dir)
        paths = [self.experiment.work_dir / f'comparison.{ending}' for ending in ('md', 'csv', 'png')]
        write_text(paths[0], self._markdown())
        for path, save in zip(paths[1:], (self._save_csv, self._save_plot)):
            with whole_file(path) as partial:
                save(partial)
        if any(len(curve) > 1 for by_seed in self.curves.values() for curve in by_seed.values()):
            drawn = {
                arm: {seed: curve for seed, curve in by_seed.items() if curve} for arm, by_seed in self.curves.items()
            }
            drawn = {arm: by_seed for arm, by_seed in drawn.items() if by_seed}
            paths += [self.experiment.work_dir / f'comparison_curves.{ending}' for ending in ('csv', 'png')]
            with whole_file(paths[-2]) as partial:
                save_curves(partial, drawn, self.metric)
            with whole_file(paths[-1]) as partial:
                plot_curves(partial, drawn, self._title)
        return paths

    def _markdown(self) -> str:
        header, *lines = self.table()
        align = ['---', *['---:'] * (len(header) - 1)]
        rows = [f'| {" | ".join(line)} |' for line in (header, align, *lines)]
        note = (
            f'\nMean ± standard deviation over the seeds {self.experiment.seeds}; differences are paired by seed, '
            'their interval is Student\'s t. "time" is the median time per iteration relative to the first line.\n'
        )
        if REACH in header:
            note += (
                f'"{REACH}" is the share of the iterations after which the validation first has the final value of the '
                'first line: the median of the seeds, linear between validations.\n'
            )
        verdicts = [f'{sentence}\n' for sentence in self.verdicts()]
        return '\n'.join([*rows, note, *verdicts, *(f'{text[0].upper()}{text[1:]}.\n' for text in self.notes())])

    def _save_csv(self, path: Path) -> None:
        keys = sorted({key for result in self.results.values() for key in result[self.split]})
        with open(path, 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['arm', 'seed', *keys, 'seconds_per_iter', 'seconds', 'iters'])
            for run, result in self.results.items():
                metrics = [result[self.split].get(key, '') for key in keys]
                times = [result[key] for key in ('seconds_per_iter', 'seconds', 'iters')]
                writer.writerow([run.arm.label, run.seed, *metrics, *times])

    def _save_plot(self, path: Path) -> None:
        names = [textwrap.fill(row.label, 30) for row in self.rows]
        lines = sum(max(2, 1 + name.count('\n')) for name in names)
        figure, (axes, forest) = plt.subplots(
            1, 2, figsize=(9, 1.2 + 0.225 * lines), width_ratios=(3, 2), sharey=True, layout='constrained'
        )
        for seed in self.experiment.seeds:
            points = [(row.values[seed], i) for i, row in enumerate(self.rows) if seed in row.values]
            if points:
                axes.plot(*zip(*points), '-', color='0.85', zorder=1)
                axes.annotate(str(seed), points[-1], xytext=(0, -11), textcoords='offset points', ha='center', size=7)
        self._draw_forest(forest)
        for i, row in enumerate(self.rows):
            axes.scatter(list(row.values.values()), [i] * len(row.values), color='C0', alpha=0.5, zorder=2)
            axes.scatter([row.mean], [i], marker='|', s=400, color='C3', zorder=3)
        axes.axvline(self.rows[0].mean, color='0.5', linestyle='--', linewidth=1, zorder=0)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(y=0.15)
        axes.set_xlabel(f'{self._title}: runs, joined by\nseed (its number), and their mean', size='small')
        axes.grid(axis='x', alpha=0.3)
        figure.savefig(path, format='png', dpi=120)
        plt.close(figure)

    def _draw_forest(self, axes: Axes) -> None:
        """Differences to the first arm: mean, 95 % interval and single seeds."""
        for i, row in enumerate(self.rows[1:], 1):
            values = list(row.differences.values())
            axes.scatter(values, [i] * len(values), color='0.6', s=9, zorder=2)
            if row.interval:
                axes.plot(row.interval, [i, i], color='C0')
            if values:
                axes.plot(statistics.fmean(values), i, 's', color='C0')
        axes.axvline(0, color='0.5', linestyle='--', linewidth=1, zorder=0)
        axes.set_xlabel(f'difference to {self.rows[0].label}:\nmean, 95 % interval, seeds', size='small')
        axes.grid(axis='x', alpha=0.3)


def _reach(share: Optional[float]) -> str:
    return '' if share is None else 'not reached' if math.isinf(share) else f'{share:.2f}'


def _of_detections(metric: str) -> bool:
    return not metric.startswith(_CLUSTERING) and re.search(r'(^|[/_])(mAP|AP|AR|recall)[^/]*$', metric) is not None


def _scale(metric: str) -> Tuple[float, str]:
    """Factor and unit for display: precision, recall, squared correlation and scores of clusters are in percent."""
    if metric.startswith(_PERCENT):
        return 1.0, ' [%]'
    share = _of_detections(metric) or metric.startswith(_CLUSTERING) or metric.endswith('squared_correlation')
    return (100.0, ' [%]') if share else (1.0, '')

"""Writes the tables and pictures of the docs from the files of this folder: ``make results``.

``beds.json`` lists the test beds, each a comparison of ``slf-mmdet compare``. Example of adding one::

    slf-mmdet compare CONFIG --balancers static slf --seeds 0 1 2 3 4 --work-dir work_dirs/BED
    python results/tables.py --collect work_dirs/BED BED
    slf-mmdet probe CONFIG && cp work_dirs/probe/CONFIG/probe.json results/beds/BED

``tasks.json`` lists the comparisons of other tasks. Their csv files are in ``tasks``, their tables in the READMEs of
their configs. More arms of the same bed, with the same seeds::

    slf-mmdet compare CONFIG --balancers rlw dwa --seeds 0 1 2 3 4 --work-dir work_dirs/BED_MORE
    python results/tables.py --add work_dirs/BED_MORE BED
"""

import argparse
import csv
import gzip
import json
import re
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from scipy import stats

from slf_mmdet.comparison.curves import Curve, mean_curve, time_to_reach
from slf_mmdet.comparison.verdict import SIGNIFICANT, confidence_interval, holm, p_value

RESULTS = Path(__file__).resolve().parent
DOCS = RESULTS.parent / 'docs'
README = RESULTS.parent / 'README.md'
PAGE = DOCS / 'results.md'
PROBE_PAGE = DOCS / 'probe.md'
BALANCERS_PAGE = DOCS / 'balancers.md'
PICTURES = DOCS / 'images'


class Effect(NamedTuple):
    """An arm against the first one of a bed, in mAP percent, paired by seed."""

    bed: Dict[str, Any]
    arm: str
    first: List[float]
    second: List[float]
    reach: Optional[float]
    own_reach: Optional[float] = None  # of the first arm, which may have its final value before the end
    adjusted: float = 1.0  # p of the paired t-test after Holm's correction

    @property
    def differences(self) -> List[float]:
        return [ours - base for ours, base in zip(self.second, self.first)]

    @property
    def verdict(self) -> str:
        if self.adjusted >= SIGNIFICANT:
            return 'no significant difference'
        return 'better' if statistics.fmean(self.differences) > 0 else 'worse'


def read_values(path: Path, metric: str, factor: float = 100) -> Dict[str, Dict[int, float]]:
    """Arm -> seed -> metric times a factor, which gives percent, of a ``comparison.csv``."""
    found: Dict[str, Dict[int, float]] = {}
    with open(path, newline='', encoding='utf-8') as file:
        for line in csv.DictReader(file):
            found.setdefault(line['arm'], {})[int(line['seed'])] = factor * float(line[metric])
    return found


def read_curves(path: Path, metric: str) -> Dict[str, Dict[int, Curve]]:
    """Arm -> seed -> curve, of a ``comparison_curves.csv``."""
    found: Dict[str, Dict[int, Curve]] = {}
    with open(path, newline='', encoding='utf-8') as file:
        for line in csv.DictReader(file):
            curve = found.setdefault(line['arm'], {}).setdefault(int(line['seed']), [])
            curve.append((int(line['iter']), float(line[metric])))
    return found


def find_effects(beds: Sequence[Dict[str, Any]], arm: str) -> List[Effect]:
    """One effect for each bed that has the arm, with Holm's correction over them.

    Learning curves are kept of the arms of its first comparison only.
    """
    effects = []
    for bed in beds:
        folder = RESULTS / 'beds' / bed['name']
        values = read_values(folder / 'comparison.csv', bed['metric'])
        first = next(iter(values))
        values.update(more_values(bed))
        if arm not in values:
            continue
        seeds = sorted(set(values[first]) & set(values[arm]))
        curves = read_curves(folder / 'comparison_curves.csv', bed['metric'])
        reach = own = None
        if arm in curves:
            reach, own = (time_to_reach(curves[each], curves[first]) for each in (arm, first))
        pair = ([values[each][seed] for seed in seeds] for each in (first, arm))
        effects.append(Effect(bed, arm, *pair, reach, own))
    adjusted = holm([p_value(each.differences) for each in effects])
    return [each._replace(adjusted=p) for each, p in zip(effects, adjusted)]


def table(effects: Sequence[Effect]) -> str:
    """The results of an arm in Markdown."""
    lines = [
        '| benchmark | n | static | SLF | difference, 95 % | p (Holm) | iterations to static mAP: SLF, static '
        '| verdict |',
        '|---|---:|---:|---:|---:|---:|---:|---|',
    ]
    for each in effects:
        reach = ', '.join(_share(value) for value in (each.reach, each.own_reach))
        lines.append(f'| {" | ".join([*_cells(each), reach, each.verdict])} |')
    return '\n'.join([*lines, '', _mean_sentence(effects)])


def average_precision_table(effects: Sequence[Effect]) -> str:
    """Static weights with average precision as one more part, in Markdown."""
    lines = [
        '| benchmark | n | static | with the part | difference, 95 % | p (Holm) | verdict |',
        '|---|---:|---:|---:|---:|---:|---|',
    ]
    lines += [f'| {" | ".join([*_cells(each), each.verdict])} |' for each in effects]
    return '\n'.join([*lines, '', _mean_sentence(effects)])


def readme_table(arms: Mapping[str, Sequence[Effect]]) -> str:
    """Static weights and the differences of some arms, title -> effects, to one digit, in Markdown."""
    lines = [f'| detector | static weights | {" | ".join(arms)} |', f'|---|---:|{"---:|" * len(arms)}']
    by_bed = {title: {each.bed['name']: each for each in effects} for title, effects in arms.items()}
    for each in next(iter(arms.values())):
        cells = [f'[{each.bed["title"]}]({each.bed["config"]})', _mean_and_deviation(each.first, 1)]
        for found in by_bed.values():
            effect = found.get(each.bed['name'])
            text = '' if effect is None else _difference(effect, 1)
            significant = effect is not None and effect.adjusted < SIGNIFICANT
            cells.append(f'**{text}**' if significant else text)
        lines.append(f'| {" | ".join(cells)} |')
    means = [f'{mean:+.1f} ({low:+.1f}, {high:+.1f})' for mean, low, high in map(mean_over_beds, arms.values())]
    lines.append(f'| mean | | {" | ".join(means)} |')
    return '\n'.join(lines)


def _cells(each: Effect) -> List[str]:
    return [
        f'[{each.bed["title"]}](../{each.bed["config"]})',
        str(len(each.first)),
        *map(_mean_and_deviation, (each.first, each.second)),
        _difference(each),
        _p_value(each.adjusted),
    ]


def _difference(each: Effect, digits: int = 2) -> str:
    numbers = (statistics.fmean(each.differences), *interval_of(each))
    mean, low, high = (f'{number:+.{digits}f}' for number in numbers)
    return f'{mean} ({low}, {high})'


def _mean_sentence(effects: Sequence[Effect]) -> str:
    mean, low, high = mean_over_beds(effects)
    return f'Mean of the differences over the {len(effects)} benchmarks: {mean:+.2f} ({low:+.2f}, {high:+.2f}).'


def mean_over_beds(effects: Sequence[Effect]) -> Tuple[float, float, float]:
    """The mean of the beds' mean differences, and its 95 % interval for these beds, whose seeds are what is random.

    The variances of the means are estimated bed by bed; degrees of freedom of Welch and Satterthwaite.
    """
    count = len(effects)
    mean = statistics.fmean(statistics.fmean(each.differences) for each in effects)
    terms = [statistics.variance(each.differences) / len(each.differences) / count**2 for each in effects]
    freedom = sum(terms) ** 2 / sum(term**2 / (len(each.differences) - 1) for term, each in zip(terms, effects))
    half = float(stats.t.ppf(0.975, freedom)) * sum(terms) ** 0.5
    return mean, mean - half, mean + half


def probe_table(effects: Sequence[Effect]) -> str:
    """What ``slf-mmdet probe`` said of each bed beside what the comparison gave, in Markdown."""
    lines = [
        '| benchmark | weight that SLF would move | verdict of the probe | measured difference, 95 % |',
        '|---|---:|---|---:|',
    ]
    for each in effects:
        path = RESULTS / 'beds' / each.bed['name'] / 'probe.json'
        found = json.loads(path.read_text(encoding='utf-8'))
        title = f'[{each.bed["title"]}](../{each.bed["config"]})'
        lines.append(f'| {title} | {found["moved"]:.0%} | {found["verdict"]} | {_difference(each)} |')
    return '\n'.join(lines)


def arms_table(bed: Dict[str, Any]) -> str:
    """All arms of a bed against its first one, in Markdown, with Holm's correction over the arms."""
    folder = RESULTS / 'beds' / bed['name']
    values = read_values(folder / 'comparison.csv', bed['metric'])
    values.update(more_values(bed))
    first, *others = values
    by_seed = {arm: [found[seed] for seed in sorted(values[first])] for arm, found in values.items()}
    effects = [Effect(bed, arm, by_seed[first], by_seed[arm], None) for arm in others]
    adjusted = holm([p_value(each.differences) for each in effects])
    lines = ['| arm | n | mAP | difference to static, 95 % | p (Holm) |', '|---|---:|---:|---:|---:|']
    lines.append(f'| `{first}` | {len(by_seed[first])} | {_mean_and_deviation(by_seed[first])} | | |')
    for each, p in sorted(zip(effects, adjusted), key=lambda pair: -statistics.fmean(pair[0].second)):
        cells = [
            f'`{each.arm}`',
            str(len(each.second)),
            _mean_and_deviation(each.second),
            _difference(each),
            _p_value(p),
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def more_values(bed: Dict[str, Any]) -> Dict[str, Dict[int, float]]:
    """As :func:`read_values`, of the further arms of a bed."""
    path = RESULTS / 'beds' / bed['name'] / 'more_arms.csv'
    return read_values(path, bed['metric']) if path.is_file() else {}


def tasks_table(task: Dict[str, Any]) -> str:
    """A comparison of a task other than detection, in Markdown.

    One with ``rows``, which name a csv each, has a column for each arm. Others have a row for each arm, a column for
    each metric, and the difference of the first metric to the first arm, with Holm's correction over the arms.
    """
    arms, columns = task['arms'], task['columns']
    first = columns[0]

    def read(name: str, column: Dict[str, Any]) -> Dict[str, List[float]]:
        found = read_values(RESULTS / 'tasks' / f'{name}.csv', column['metric'], column.get('factor', 1))
        if set(found) != set(arms) or len({tuple(sorted(by_seed)) for by_seed in found.values()}) != 1:
            raise ValueError(f'{name}.csv: {task["name"]} needs the arms {sorted(arms)}, all with the same seeds')
        return {arm: [found[arm][seed] for seed in sorted(found[arm])] for arm in arms}

    def cell(values: Sequence[float], column: Dict[str, Any]) -> str:
        return _mean_and_deviation(values, column['digits'])

    if 'rows' in task:
        lines = [f'| network | {" | ".join(arms.values())} |', f'|---|{"---:|" * len(arms)}']
        for name, title in task['rows'].items():
            found = read(name, first)
            best = max(found, key=lambda arm: statistics.fmean(found[arm]))
            cells = [f'**{cell(found[arm], first)}**' if arm == best else cell(found[arm], first) for arm in arms]
            lines.append(f'| {title} | {" | ".join(cells)} |')
        return '\n'.join(lines)
    all_values = [read(task['name'], column) for column in columns]
    base, *others = arms
    effects = [Effect({'name': task['name']}, arm, all_values[0][base], all_values[0][arm], None) for arm in others]
    adjusted = holm([p_value(each.differences) for each in effects])
    titles = ' | '.join(column['title'] for column in columns)
    name = first['title'].partition(',')[0]
    lines = [f'| loss | {titles} | difference in {name}, 95 % | p (Holm) |', f'|---|{"---:|" * (len(columns) + 2)}']
    for arm, title in arms.items():
        cells = [cell(values[arm], column) for values, column in zip(all_values, columns)]
        cells += ['', '']
        if arm != base:
            effect, p = next(pair for pair in zip(effects, adjusted) if pair[0].arm == arm)
            cells[-2:] = [_difference(effect, first['digits']), _p_value(p)]
        lines.append(f'| {title} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def _p_value(p: float) -> str:
    return '< 0.001' if p < 0.001 else f'{p:.3f}'


def _mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    return f'{statistics.fmean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}'


def _share(reach: Optional[float]) -> str:
    return '-' if reach is None else 'not reached' if reach > 1 else f'{reach:.2f}'


def interval_of(effect: Effect) -> Tuple[float, float]:
    found = confidence_interval(effect.differences)
    if found is None:
        raise ValueError(f'{effect.bed["name"]}: {effect.arm} needs two seeds or more')
    return found


def draw_forest(arms: Mapping[str, Sequence[Effect]], path: Path) -> None:
    """Differences of some arms, title -> effects, with their intervals, a line for each bed and arm."""
    titles = [each.bed['title'] for each in next(iter(arms.values()))]
    figure, axes = plt.subplots(figsize=(7, 1 + 0.5 * len(titles)), layout='constrained')
    for number, (arm, effects) in enumerate(arms.items()):
        for each in effects:
            line = titles.index(each.bed['title']) + 0.3 * (number - (len(arms) - 1) / 2)
            axes.plot(interval_of(each), [line, line], color=f'C{number}')
            label = arm if each is effects[0] else None
            axes.plot(statistics.fmean(each.differences), line, 's', color=f'C{number}', label=label)
            axes.scatter(each.differences, [line] * len(each.differences), color='0.6', s=9, zorder=3)
    axes.axvline(0, color='0.5', linewidth=1)
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    axes.set_xlabel('mAP gained over static weights: mean, 95 % interval, seeds')
    axes.grid(axis='x', alpha=0.3)
    axes.legend(fontsize='small')
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_curves(beds: Sequence[Dict[str, Any]], arm: str, path: Path) -> None:
    """Mean learning curves of static weights and of an arm, a panel for each bed."""
    columns = min(3, len(beds))
    rows = -(-len(beds) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3.4 * columns, 2.6 * rows), layout='constrained', squeeze=False)
    for axes, bed in zip(grid.flat, beds):
        curves = read_curves(RESULTS / 'beds' / bed['name'] / 'comparison_curves.csv', bed['metric'])
        for label, name in ((next(iter(curves)), 'static weights'), (arm, 'SLF')):
            axes.plot(*zip(*mean_curve(list(curves[label].values()))), marker='.', label=name)
        axes.set_title(bed['title'], fontsize='small')
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(beds) :]:
        axes.remove()
    grid.flat[0].legend(fontsize='small')
    figure.supxlabel('iteration', fontsize='small')
    figure.supylabel('mAP [%]', fontsize='small')
    figure.savefig(path, dpi=110)
    plt.close(figure)


def with_table(text: str, name: str, content: str) -> str:
    """Replaces what is between ``<!-- table: NAME -->`` and ``<!-- end of table -->``."""
    pattern = re.compile(rf'(<!-- table: {name} -->\n).*?(<!-- end of table -->)', re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f'no page has a place for the table {name}: <!-- table: {name} --> and <!-- end of table -->')
    return pattern.sub(lambda found: f'{found[1]}\n{content}\n\n{found[2]}', text)


def collect(work_dir: Path, bed: str) -> None:
    """Copies csv, configs and logs of a finished comparison."""
    folder = RESULTS / 'beds' / bed
    folder.mkdir(parents=True, exist_ok=True)
    for name in ('comparison.csv', 'comparison_curves.csv'):
        shutil.copy(work_dir / name, folder / name)
    _keep_first_seeds(work_dir, folder)


def add(work_dir: Path, bed: str) -> None:
    """Adds the arms of another comparison of a bed, with the same seeds, or replaces those of the same name."""
    folder = RESULTS / 'beds' / bed
    with open(folder / 'comparison.csv', newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        seeds, fields = {line['seed'] for line in reader}, reader.fieldnames
    path = folder / 'more_arms.csv'
    lines = []
    if path.is_file():
        with open(path, newline='', encoding='utf-8') as file:
            lines = list(csv.DictReader(file))
    with open(work_dir / 'comparison.csv', newline='', encoding='utf-8') as file:
        added = list(csv.DictReader(file))
    for arm in {line['arm'] for line in added}:
        found = {line['seed'] for line in added if line['arm'] == arm}
        if found != seeds:
            raise ValueError(f'{work_dir}: {arm} has the seeds {sorted(found)}, but the bed {bed} has {sorted(seeds)}')
    lines = [line for line in lines if line['arm'] not in {line['arm'] for line in added}] + added
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, fields or (), extrasaction='ignore', lineterminator='\n')
        writer.writeheader()
        writer.writerows(sorted(lines, key=lambda line: (line['arm'], int(line['seed']))))
    _keep_first_seeds(work_dir, folder)


def _keep_first_seeds(work_dir: Path, folder: Path) -> None:
    """Config and log of each arm's first seed."""
    for config in sorted(work_dir.glob('*/seed_*/config.py')):
        arm = config.parents[1].name
        if config.parent == min(config.parents[1].glob('seed_*'), key=lambda path: int(path.name.partition('_')[2])):
            text = config.read_text(encoding='utf-8').replace(str(work_dir.resolve()), 'work_dirs')
            _write_gz(folder / f'{arm}.py.gz', text)
            log = '\n'.join(
                path.read_text(encoding='utf-8') for path in sorted(config.parent.glob('*/vis_data/scalars.json'))
            )
            _write_gz(folder / f'{arm}.json.gz', log)


def _write_gz(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), mtime=0))  # the same text gives the same file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--collect', nargs=2, metavar=('WORK_DIR', 'BED'), help='copy a finished comparison here')
    parser.add_argument('--add', nargs=2, metavar=('WORK_DIR', 'BED'), help='add the arms of another one to a bed')
    parser.add_argument('--check', action='store_true', help='only say whether the page has the numbers of the csv')
    args = parser.parse_args()
    if args.collect:
        collect(Path(args.collect[0]), args.collect[1])
        return 0
    if args.add:
        add(Path(args.add[0]), args.add[1])
        return 0
    beds = json.loads((RESULTS / 'beds.json').read_text(encoding='utf-8'))
    effects, with_part = (find_effects(beds, arm) for arm in ('slf', 'ap'))
    arms = {'`SLFBalancer`': effects, '`SoftAPLoss`': with_part}
    tables = [
        (README, 'results', readme_table(arms)),
        (PAGE, 'beds', table(effects)),
        (PAGE, 'average precision', average_precision_table(with_part)),
        (PROBE_PAGE, 'probe', probe_table(effects)),
    ]
    for bed in beds:
        if set(more_values(bed)) - {'ap'}:
            tables.append((BALANCERS_PAGE, f'{bed["name"]} arms', arms_table(bed)))
    for task in json.loads((RESULTS / 'tasks.json').read_text(encoding='utf-8')):
        tables.append((RESULTS.parent / task['page'], task['name'], tasks_table(task)))
    for page, name, content in tables:
        before = page.read_text(encoding='utf-8')
        after = with_table(before, name, content)
        if args.check and after != before:
            print(f'{page} differs from the files of {RESULTS}: run `make results`', file=sys.stderr)
            return 1
        if not args.check:
            page.write_text(after, encoding='utf-8')
    if args.check:
        return 0
    draw_forest({title.strip('`'): found for title, found in arms.items()}, PICTURES / 'results_forest.png')
    draw_curves(beds, 'slf', PICTURES / 'results_curves.png')
    print(table(effects), average_precision_table(with_part), sep='\n\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())

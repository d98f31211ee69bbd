"""Draws how the loss weights and the weighted parts moved in a run, from mmengine's ordinary log."""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Tuple

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt

Curve = Tuple[List[int], List[float]]


def find_logs(run: Path) -> List[Path]:
    """The scalar logs of a run: the file itself, or those of every (resumed) part of a work dir, in order."""
    if run.is_file():
        return [run]
    logs = sorted(run.glob('*/vis_data/scalars.json')) or sorted(run.glob('vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(
            f'{run} holds no log: expected {run}/TIMESTAMP/vis_data/scalars.json, which a run with LocalVisBackend '
            '(the default) writes. Give the work dir of a training run or such a file.'
        )
    return logs


def read_curves(run: Path) -> Dict[str, Curve]:
    """Key -> (iterations, values) of every training scalar; a resumed run overwrites what it repeats."""
    points: Dict[str, Dict[int, float]] = defaultdict(dict)
    for log in find_logs(run):
        for line in log.read_text(encoding='utf-8').splitlines():
            record = json.loads(line)
            if 'lr' not in record:  # a validation record, whose step counts epochs
                continue
            for key, value in record.items():
                if isinstance(value, (int, float)):
                    points[key][record.get('iter', record['step'])] = value
    return {key: (sorted(by_iter), [by_iter[i] for i in sorted(by_iter)]) for key, by_iter in points.items()}


def plot(curves: Dict[str, Curve], title: str, out: Path) -> None:
    """Two panels: the weights of the parts, and the weighted parts themselves."""
    parts = [key.split('/', 1)[1] for key in curves if key.startswith('balance/')]
    if not parts:
        raise ValueError(f'{title}: the log has no key balance/<part>; was a balancer switched on in this run?')
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, constrained_layout=True)
    for part in parts:
        upper.plot(*curves[f'balance/{part}'], label=part)
        lower.plot(*curves[f'loss_{part}'], label=part)
    smallest = min(min(curves[f'balance/{part}'][1]) for part in parts)
    upper.set(title=title, ylabel='weight', yscale='log' if smallest > 0 else 'linear')
    upper.yaxis.set_major_formatter('{x:g}')
    upper.yaxis.set_minor_formatter('{x:g}')
    lower.set(xlabel='iteration', ylabel='weighted loss', yscale='log')
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.legend(*upper.get_legend_handles_labels(), ncols=len(parts), loc='outside lower center')
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('run', type=Path, help='work dir of a training run, or its scalars.json')
    parser.add_argument('--out', type=Path, help='picture to write (default: weights.png beside the log)')
    args = parser.parse_args()
    out = args.out or (args.run if args.run.is_dir() else args.run.parent) / 'weights.png'
    plot(read_curves(args.run), args.run.name, out)
    print(f'Weights drawn: {out}')


if __name__ == '__main__':
    main()

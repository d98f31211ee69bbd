"""The scalars of a run, from the json log that mmengine's ``LocalVisBackend`` writes."""

import json
import re
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import numpy as np

WEIGHT = 'balance_'
OLD_KEY = re.compile(r'^(balance|raw|share|selected|ap_lost|weights)/')  # of versions before 0.2


class Curve(NamedTuple):
    """One scalar over a training.

    Attributes:
        iters: ``(m,)`` iterations, ascending, from 1.
        values: ``(m,)``.
    """

    iters: np.ndarray
    values: np.ndarray


def find_logs(run: Path) -> List[Path]:
    """The scalar logs of a training run, in order: the file itself, or those of every resumed part of a work dir.

    Logs without a training iteration, as ``tools/test.py`` may leave in the same work dir, are not part of the run.
    Nor are those of earlier runs. A run that resumes says so in its text log; without that log, it is one that goes on
    at a later iteration.

    Raises:
        FileNotFoundError: there is none.
    """
    if run.is_file():
        return [run]
    logs: List[Path] = []
    start = 0
    for log in sorted(run.glob('*/vis_data/scalars.json')) or sorted(run.glob('vis_data/scalars.json')):
        first = next((_iteration(record) for record in _records_of(log) if _is_training(record)), None)
        if first is None:
            continue
        if not logs or first <= start or not _says_that_it_resumes(log):
            logs, start = [], first
        logs.append(log)
    if not logs:
        raise FileNotFoundError(
            f'{run} holds no log of a training: expected {run}/TIMESTAMP/vis_data/scalars.json, which a run with '
            'LocalVisBackend (the default) writes. Give the work dir of a training run or such a file.'
        )
    return logs


def _says_that_it_resumes(log: Path) -> bool:
    """Whether mmengine has written that it resumed, before the first iteration; True where there is no text log."""
    folder = log.parents[1]
    text_log = folder / f'{folder.name}.log'
    if not text_log.exists():
        return True
    with text_log.open(encoding='utf-8', errors='replace') as lines:
        for line in lines:
            if 'resumed epoch:' in line:
                return True
            if '(train)' in line:
                return False
    return False


def read_curves(run: Path) -> Dict[str, Curve]:
    """Key -> curve of every training scalar; the iterations that a resumed run repeats replace the earlier ones."""
    points: Dict[str, Dict[int, float]] = defaultdict(dict)
    for record in _records(run):
        if not _is_training(record):
            continue
        for key, value in record.items():
            if isinstance(value, (int, float)):
                points[key][_iteration(record)] = value
    return {
        key: Curve(np.array(sorted(by_iter)), np.array([by_iter[i] for i in sorted(by_iter)], dtype=float))
        for key, by_iter in points.items()
    }


def read_validations(run: Path) -> Dict[int, Dict[str, float]]:
    """Epoch, or iteration where the training counts those -> metrics of its validation."""
    found: Dict[int, Dict[str, float]] = {}
    for record in _records(run):
        metrics = {
            key: float(value)
            for key, value in record.items()
            if isinstance(value, (int, float)) and key not in ('step', 'time', 'data_time')
        }
        if metrics and not _is_training(record):
            found[record['step']] = metrics
    return dict(sorted(found.items()))


def part_names(curves: Mapping[str, Any]) -> Tuple[str, ...]:
    """Names of the balanced parts; empty if there was no balancer."""
    return tuple(key[len(WEIGHT) :] for key in curves if key.startswith(WEIGHT))


def _records(run: Path) -> Iterator[Dict[str, Any]]:
    for log in find_logs(run):
        yield from _records_of(log)


def _records_of(log: Path) -> Iterator[Dict[str, Any]]:
    *complete, last = log.read_text(encoding='utf-8').splitlines() or ['']
    yield from map(partial(_parse, log), complete)
    with suppress(ValueError):  # the last line is cut short where the run was killed
        yield _parse(log, last)


def _parse(log: Path, line: str) -> Dict[str, Any]:
    try:
        return {OLD_KEY.sub(r'\1_', key): value for key, value in json.loads(line).items()}
    except json.JSONDecodeError:
        raise ValueError(
            f'{log} is not a json log, it has the line {line[:60]!r}. Give a work dir or its scalars.json.'
        ) from None


def _is_training(record: Mapping[str, Any]) -> bool:
    # A validation has none, and its step counts epochs; several optimizers have one each, such as generator.lr
    return any(key.rpartition('.')[2] == 'lr' for key in record)


def _iteration(record: Mapping[str, Any]) -> int:
    return record.get('iter', record['step'])

"""The scalars of a run, from the json log that mmengine's ``LocalVisBackend`` writes."""

import json
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import numpy as np

WEIGHT = 'balance/'


class Curve(NamedTuple):
    """One scalar over a training.

    Attributes:
        iters: ``(m,)`` iterations, ascending, from 1.
        values: ``(m,)``.
    """

    iters: np.ndarray
    values: np.ndarray


def find_logs(run: Path) -> List[Path]:
    """The scalar logs of a run, in order: the file itself, or those of every (resumed) part of a work dir.

    Raises:
        FileNotFoundError: there is none.
    """
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
    """Key -> curve of every training scalar; the iterations that a resumed run repeats replace the earlier ones."""
    points: Dict[str, Dict[int, float]] = defaultdict(dict)
    for record in _records(run):
        if not _is_training(record):
            continue
        for key, value in record.items():
            if isinstance(value, (int, float)):
                points[key][record.get('iter', record['step'])] = value
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
        *complete, last = log.read_text(encoding='utf-8').splitlines() or ['']
        yield from map(partial(_parse, log), complete)
        with suppress(ValueError):  # the last line is cut short where the run was killed
            yield _parse(log, last)


def _parse(log: Path, line: str) -> Dict[str, Any]:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        raise ValueError(
            f'{log} is not a json log, it has the line {line[:60]!r}. Give a work dir or its scalars.json.'
        ) from None


def _is_training(record: Mapping[str, Any]) -> bool:
    return 'lr' in record  # a validation has none, and its step counts epochs

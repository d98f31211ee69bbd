"""Groups runs that differ only in their seed, and averages them."""

import re
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Sequence

import numpy as np

from .logs import Curve
from .run_names import distinct_names

SEED = re.compile(r'(?:^|[-_.])(?:seed|s)[-_=]?\d+$')


class Band(NamedTuple):
    """A scalar over several trainings.

    Attributes:
        iters: ``(m,)`` iterations that all trainings reached.
        mean: ``(m,)`` over the trainings.
        low: ``(m,)`` minimum over the trainings.
        high: ``(m,)`` maximum over the trainings.
    """

    iters: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def group_by_seed(runs: Iterable[Path]) -> Dict[str, List[Path]]:
    """Groups the runs of one folder whose names differ in their seed alone.

    Returns:
        Name without the seed, with as many folders before it as it takes to tell the groups apart -> runs.

    Examples:
        >>> runs = ['out/slf_s0', 'out/slf_s1', 'compare/static/seed_0', 'yolo-seed=3', 'lone']
        >>> {name: len(found) for name, found in group_by_seed(map(Path, runs)).items()}
        {'slf': 2, 'static': 1, 'yolo': 1, 'lone': 1}
        >>> list(group_by_seed(map(Path, ['a/slf_s0', 'a/slf_s1', 'b/slf_s0'])))
        ['a/slf', 'b/slf']
    """
    groups: Dict[Path, List[Path]] = {}
    for run in runs:
        path = run.resolve()
        if path.is_file():  # TIMESTAMP/vis_data/scalars.json
            path = path.parents[2]
        name = SEED.sub('', path.name)
        groups.setdefault(path.with_name(name) if name else path.parent, []).append(run)
    return dict(zip(distinct_names(list(groups)), groups.values()))


def over_seeds(curves: Sequence[Curve]) -> Band:
    """Mean and range of some curves, linearly interpolated where they were logged at different iterations.

    Raises:
        ValueError: there is no curve, or no iteration that all of them cover.
    """
    if not curves:
        raise ValueError('there is no curve to take the mean of.')
    start, end = max(curve.iters[0] for curve in curves), min(curve.iters[-1] for curve in curves)
    iters = np.unique(np.concatenate([curve.iters for curve in curves]))
    iters = iters[(iters >= start) & (iters <= end)]
    if not len(iters):
        raise ValueError(f'the runs have no iteration in common: one begins at {start}, another ends at {end}.')
    values = np.stack([np.interp(iters, curve.iters, curve.values) for curve in curves])
    return Band(iters, values.mean(0), values.min(0), values.max(0))

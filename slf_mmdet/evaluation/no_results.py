"""An evaluation without a result is an error that says so, not one of an empty array."""

from typing import Sequence

from mmengine.evaluator import BaseMetric


def require_results(metric: BaseMetric, results: Sequence[object]) -> None:
    """Checks that something was evaluated.

    Raises:
        ValueError: it was not.
    """
    if not results:
        raise ValueError(f'{type(metric).__name__}: the data set has nothing to evaluate, so there is no result.')

"""What a comparison says of paired differences: their interval, a sentence, and how many seeds would say more."""

import math
import statistics
from typing import Optional, Sequence, Tuple

from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8
MOST_SEEDS = 1000


def confidence_interval(differences: Sequence[float]) -> Optional[Tuple[float, float]]:
    """Of the mean of paired differences, Student's t at 95 %; ``None`` with fewer than two."""
    if len(differences) < 2:
        return None
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * error
    return mean - half, mean + half


def seeds_needed(differences: Sequence[float], effect: float) -> Optional[int]:
    """Seeds with which a paired t-test at 5 % finds a true difference in four of five comparisons.

    Args:
        differences: paired differences so far, two or more; their standard deviation is taken as the true one.
        effect: the difference to find, > 0, in the same unit.

    Returns:
        The number, from the noncentral t distribution; ``None`` beyond 1,000.
    """
    deviation = statistics.stdev(differences)
    if deviation == 0:
        return 2
    for count in range(2, MOST_SEEDS + 1):
        critical = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)
        shift = effect / deviation * math.sqrt(count)
        if stats.nct.sf(critical, count - 1, shift) >= POWER:
            return count
    return None


def verdict(arm: str, first: str, differences: Sequence[float], effect: float, unit: str = '') -> str:
    """One sentence.

    Args:
        arm: label of the arm.
        first: label of the arm that it is compared with.
        differences: paired differences, arm minus first.
        effect: a difference that would matter, in the same unit.
        unit: of the differences, such as ``' mAP'``.
    """
    if not differences:
        return f'{arm} and {first} have no seed in common yet.'
    mean, count, interval = statistics.fmean(differences), len(differences), confidence_interval(differences)
    if interval is None:
        return f'{arm} differs from {first} by {mean:+.2f}{unit} with one seed, which says nothing about others.'
    low, high = interval
    text = f'{mean:+.2f}{unit}, {low:+.2f} to {high:+.2f}, {count} seeds'
    if low > 0 or high < 0:
        return f'{arm} is significantly {"higher" if mean > 0 else "lower"} than {first} ({text}).'
    needed = seeds_needed(differences, effect)
    more = f'more than {MOST_SEEDS}' if needed is None else str(needed)
    enough = needed is not None and needed <= count
    seeds = 'these are enough' if enough else f'{more} would be needed'
    return f'{arm} and {first} do not differ significantly ({text}); {seeds} to see a difference of {effect:g}{unit}.'

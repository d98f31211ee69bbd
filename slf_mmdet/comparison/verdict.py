"""What a comparison says of paired differences: interval, p-value, a sentence, and how many seeds would say more."""

import math
import statistics
from typing import List, Mapping, Optional, Sequence, Tuple

from scipy import stats

CONFIDENCE = 0.95
SIGNIFICANT = 1 - CONFIDENCE
POWER = 0.8
MOST_SEEDS = 1000


def confidence_interval(differences: Sequence[float]) -> Optional[Tuple[float, float]]:
    """Of the mean of paired differences, Student's t at 95 %; ``None`` with fewer than two."""
    if len(differences) < 2:
        return None
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * error
    return mean - half, mean + half


def p_value(differences: Sequence[float]) -> float:
    """Of a two-sided paired t-test that the true mean of the differences, two or more, is 0."""
    if statistics.stdev(differences) == 0:
        return float(not any(differences))
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(values: Sequence[float]) -> List[float]:
    """Holm's step-down correction of p-values (Holm, 1979), in the order of the values."""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


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


def verdicts(first: str, arms: Mapping[str, Sequence[float]], effect: float, unit: str = '') -> List[str]:
    """One sentence for each arm, see :func:`verdict`, with Holm's correction over the arms.

    Args:
        first: label of the arm that the others are compared with.
        arms: label of each other arm -> its paired differences, arm minus first.
        effect: a difference that would matter, in the same unit.
        unit: of the differences, such as ``' mAP'``.
    """
    tested = [arm for arm, differences in arms.items() if len(differences) >= 2]
    adjusted = dict(zip(tested, holm([p_value(arms[arm]) for arm in tested])))
    return [
        verdict(arm, first, differences, effect, unit, adjusted.get(arm), len(tested))
        for arm, differences in arms.items()
    ]


def verdict(
    arm: str,
    first: str,
    differences: Sequence[float],
    effect: float,
    unit: str = '',
    adjusted: Optional[float] = None,
    num_arms: int = 1,
) -> str:
    """One sentence.

    Args:
        arm: label of the arm.
        first: label of the arm that it is compared with.
        differences: paired differences, arm minus first.
        effect: a difference that would matter, in the same unit.
        unit: of the differences, such as ``' mAP'``.
        adjusted: p-value with a correction over the arms; without it, that of the differences.
        num_arms: over how many arms it was corrected.
    """
    if not differences:
        return f'{arm} and {first} have no seed in common yet.'
    mean, count, interval = statistics.fmean(differences), len(differences), confidence_interval(differences)
    if interval is None:
        return f'{arm} differs from {first} by {mean:+.2f}{unit} with one seed, which says nothing about others.'
    low, high = interval
    text = f'{mean:+.2f}{unit}, {low:+.2f} to {high:+.2f}, {count} seeds'
    p = p_value(differences) if adjusted is None else adjusted
    if p < SIGNIFICANT:
        return f'{arm} is significantly {"higher" if mean > 0 else "lower"} than {first} ({text}).'
    needed = seeds_needed(differences, effect)
    more = f'more than {MOST_SEEDS}' if needed is None else str(needed)
    enough = needed is not None and needed <= count
    seeds = 'these are enough' if enough else f'{more} would be needed'
    if low > 0 or high < 0:
        text += f"; p = {p:.2f} with Holm's correction for {num_arms} arms"
    return f'{arm} and {first} do not differ significantly ({text}); {seeds} to see a difference of {effect:g}{unit}.'

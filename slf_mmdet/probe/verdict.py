"""What the measurement says about SLF on this detector and data."""

import dataclasses
import enum

import numpy as np

from .measure import Measurement

LEAST_MOVED = 0.05  # of the total weight


class Outcome(enum.Enum):
    """The kinds of verdicts."""

    IMPOSSIBLE = 'cannot work'
    TOO_EARLY = 'too early'
    LITTLE_CHANGE = 'SLF would change little'
    WORTH_COMPARING = 'worth a comparison'


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One sentence about a measurement.

    Attributes:
        outcome: its kind.
        text: the sentence, with its reason.
    """

    outcome: Outcome
    text: str


def judge(found: Measurement) -> Verdict:
    """Says whether a comparison of SLF with the config's own weights is worth its time.

    It is where SLF would move at least 5 % of the total weight. This says that the weights would differ, not that the
    result would: that takes the comparison.
    """
    if len(found.parts) < 2:
        return Verdict(Outcome.IMPOSSIBLE, f'SLF cannot work here: the loss has one part, {found.parts[0]}.')
    if found.ap_lost is None or found.precision is None or found.moved is None or found.slf_weights is None:
        return Verdict(Outcome.IMPOSSIBLE, f'SLF cannot work on this detector: {found.problems["quality"]}')
    if found.precision == 0 and not found.ap_lost.any():
        return Verdict(
            Outcome.TOO_EARLY,
            f'No verdict: after {found.iterations} iterations no object is detected, also with any part solved. '
            'Give a checkpoint of the plain detector, or more --iters.',
        )
    if found.moved < LEAST_MOVED:
        return Verdict(
            Outcome.LITTLE_CHANGE,
            f'SLF would change little: it would move {found.moved:.1%} of the weight, which is already where average '
            'precision is lost.',
        )
    change = found.slf_weights / found.base_weights
    most = int(np.argmax(change))
    return Verdict(
        Outcome.WORTH_COMPARING,
        f'Worth a comparison: SLF would move {found.moved:.0%} of the weight, {found.parts[most]} from '
        f'{found.base_weights[most]:g} to {found.slf_weights[most]:.2g}. '
        f'With it solved the average precision of a batch would be {found.ap_lost[most]:.3f} higher.',
    )

"""The sentence at the end of a comparison, and the number of seeds, against simulated comparisons."""

import numpy as np
import pytest
from scipy import stats

from slf_mmdet.comparison.verdict import seeds_needed, verdict


@pytest.mark.parametrize('deviation', [0.5, 1.0, 2.0])
def test_seeds_needed_against_simulation(deviation):
    sample = deviation * np.array([-1.0, 0.0, 1.0])
    needed = seeds_needed(sample.tolist(), 1.0)
    random = np.random.default_rng(0)

    def power(count):
        runs = random.normal(1.0, deviation, (20_000, count))
        return np.mean(stats.ttest_1samp(runs, 0.0, axis=1).statistic > stats.t.ppf(0.975, count - 1))

    assert power(needed) >= 0.79 and (needed == 2 or power(needed - 1) < 0.81)


def test_extremes():
    assert seeds_needed([1.0, 1.0], 1.0) == 2
    assert seeds_needed([-100.0, 100.0], 1.0) is None


@pytest.mark.parametrize(
    ('differences', 'text'),
    [
        ([], 'slf and static have no seed in common yet.'),
        ([1.5], 'slf differs from static by +1.50 mAP with one seed, which says nothing about others.'),
        # half width: t(0.975, 2) / sqrt(3) = 2.484
        ([3.0, 5.0, 4.0], 'slf is significantly higher than static (+4.00 mAP, +1.52 to +6.48, 3 seeds).'),
        ([-3.0, -5.0, -4.0], 'slf is significantly lower than static (-4.00 mAP, -6.48 to -1.52, 3 seeds).'),
        (
            [1.0, 3.0, 2.0],
            'slf and static do not differ significantly (+2.00 mAP, -0.48 to +4.48, 3 seeds); 10 would be needed to '
            'see a difference of 1 mAP.',
        ),
        (
            [0.1, -0.1, 0.05, -0.05],
            'slf and static do not differ significantly (+0.00 mAP, -0.15 to +0.15, 4 seeds); these are enough to see '
            'a difference of 1 mAP.',
        ),
        (
            [-100.0, 100.0],
            'slf and static do not differ significantly (+0.00 mAP, -1270.62 to +1270.62, 2 seeds); more than 1000 '
            'would be needed to see a difference of 1 mAP.',
        ),
    ],
)
def test_sentence(differences, text):
    assert verdict('slf', 'static', differences, 1.0, ' mAP') == text

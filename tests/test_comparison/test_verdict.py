"""The sentence at the end of a comparison, and the number of seeds, against simulated comparisons."""

import numpy as np
import pytest
from scipy import stats

from slf_mmdet.comparison.verdict import holm, p_value, seeds_needed, verdict, verdicts


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


def test_several_arms_are_corrected():
    # t = mean / (deviation / sqrt(3)), 2 degrees of freedom: 6.928 and 5.196
    arms = {'slf': [3.0, 5.0, 4.0], 'rlw': [2.0, 4.0, 3.0], 'new': [1.0]}
    assert [p_value(arms[arm]) for arm in ('slf', 'rlw')] == pytest.approx([0.0202, 0.0351], abs=1e-4)
    slf, rlw, new = verdicts('static', arms, 1.0, ' mAP')
    assert slf == 'slf is significantly higher than static (+4.00 mAP, +1.52 to +6.48, 3 seeds).'  # 2 * 0.0202 < 0.05
    assert rlw == 'rlw is significantly higher than static (+3.00 mAP, +0.52 to +5.48, 3 seeds).'
    assert new == 'new differs from static by +1.00 mAP with one seed, which says nothing about others.'
    *_, last = verdicts('static', {**arms, 'dwa': [2.1, 4.1, 3.1]}, 1.0, ' mAP')
    assert last == (
        "dwa and static do not differ significantly (+3.10 mAP, +0.62 to +5.58, 3 seeds; p = 0.07 with Holm's "
        'correction for 3 arms); 10 would be needed to see a difference of 1 mAP.'
    )


def test_holm():
    # Holm (1979): sorted 0.01, 0.03, 0.04 times 3, 2 and 1, and never smaller than the one before
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_p_value_of_equal_differences():
    assert p_value([0.0, 0.0]) == 1 and p_value([1.0, 1.0]) == 0

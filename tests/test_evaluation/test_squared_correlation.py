"""The squared correlation by hand, against SciPy, and its undefined cases."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from scipy.stats import pearsonr

from slf_mmdet.evaluation import SquaredCorrelation
from slf_mmdet.evaluation.squared_correlation import squared_correlation


def test_by_hand():
    # Deviations -1, 0, 1 and -1, 1, 0: covariance 1, variances 2 and 2: r = 1 / 2
    assert squared_correlation(np.array([1, 2, 3]), np.array([4, 6, 5])) == pytest.approx(0.25)


def test_equals_scipy():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 50))
    assert squared_correlation(pred, target) == pytest.approx(pearsonr(pred, target).statistic ** 2)
    assert squared_correlation(3 - 7 * pred, target) == pytest.approx(squared_correlation(pred, target))


def test_equal_predictions():
    assert squared_correlation(np.full(3, 0.1), np.array([1, 2, 4])) == 0


@pytest.mark.parametrize(
    ('pred', 'target', 'message'),
    [
        ([1.0], [1.0], 'at least two values, found 1'),
        ([1.0, 2.0], [3.0, 3.0], r'all 2 targets are 3\.0'),
        ([1.0, np.nan], [3.0, 4.0], 'found nan or infinity'),
    ],
)
def test_undefined(pred, target, message):
    with pytest.raises(ValueError, match=message):
        squared_correlation(np.array(pred), np.array(target))


def test_in_an_evaluator():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 10))
    samples = [BaseDataElement(pred_value=torch.tensor(p), gt_value=torch.tensor(t)) for p, t in zip(pred, target)]
    evaluator = Evaluator(SquaredCorrelation())
    evaluator.process(samples[:7])
    evaluator.process(samples[7:])
    found = evaluator.evaluate(10)
    assert found == {'regression/squared_correlation': pytest.approx(pearsonr(pred, target).statistic ** 2)}

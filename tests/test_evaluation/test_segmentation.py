"""Dice and Hausdorff distance beside MONAI's and SciPy's, and what the metric makes of classes and images."""

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS
from monai.metrics import compute_dice, compute_hausdorff_distance
from scipy.spatial.distance import directed_hausdorff

from slf_mmdet.evaluation import dice, hausdorff_distance

RNG = np.random.default_rng(0)
PAIRS = [(RNG.random((20, 26)) < share, RNG.random((20, 26)) < 0.3) for share in (0.05, 0.3, 0.8)]
SQUARE = np.zeros((20, 26), bool)
SQUARE[3:9, 4:10] = True
PAIRS += [(SQUARE, np.roll(SQUARE, (2, 5), (0, 1))), (SQUARE, np.ones_like(SQUARE))]
EMPTY = np.zeros_like(SQUARE)


def as_monai(mask):
    return torch.from_numpy(mask)[None, None].float()


@pytest.mark.parametrize('pair', PAIRS)
def test_dice_equals_that_of_monai(pair):
    assert dice(*pair) == pytest.approx(compute_dice(*map(as_monai, pair)).item())


@pytest.mark.parametrize('pair', PAIRS)
@pytest.mark.parametrize('percentile', [100, 95])
def test_hausdorff_equals_that_of_monai(pair, percentile):
    expected = compute_hausdorff_distance(*map(as_monai, pair), include_background=True, percentile=percentile)
    assert hausdorff_distance(*pair, percentile) == pytest.approx(expected.item())


def test_hausdorff_of_lines_equals_that_of_scipy():
    """Whose pixels are all at the boundary."""
    lines = np.zeros((2, 30, 30), bool)
    lines[0, 5, 3:20] = lines[1, 9:25, 28] = True
    first, second = map(np.argwhere, lines)
    expected = max(directed_hausdorff(first, second)[0], directed_hausdorff(second, first)[0])
    assert hausdorff_distance(*lines) == pytest.approx(expected)


def test_nothing_found_or_nothing_there():
    assert (dice(EMPTY, EMPTY), hausdorff_distance(EMPTY, EMPTY)) == (1, 0)
    for pair in ((EMPTY, SQUARE), (SQUARE, EMPTY)):
        assert dice(*pair) == 0 and hausdorff_distance(*pair) == pytest.approx(np.hypot(20, 26))


def evaluate(pairs, classes=('background', 'digit'), **settings):
    metric = METRICS.build(dict(type='SegmentationMetric', **settings))
    metric.dataset_meta = dict(classes=classes)
    metric.process(
        None,
        [
            dict(
                img_path=f'{index}.jpg',
                pred_sem_seg=dict(sem_seg=torch.as_tensor(found)[None].long()),
                gt_sem_seg=dict(sem_seg=torch.as_tensor(true)[None].to(torch.uint8)),
            )
            for index, (found, true) in enumerate(pairs)
        ],
    )
    return metric.evaluate(len(pairs))


def test_means_over_the_images():
    found = evaluate(PAIRS)
    assert found == {
        'seg/dice': pytest.approx(100 * np.mean([dice(*pair) for pair in PAIRS])),
        'seg/hausdorff': pytest.approx(np.mean([hausdorff_distance(*pair) for pair in PAIRS])),
    }


def test_a_class_that_is_neither_there_nor_found_does_not_count():
    assert evaluate([(EMPTY, EMPTY), PAIRS[3]]) == evaluate([PAIRS[3]])
    assert np.isnan(evaluate([(EMPTY, EMPTY)])['seg/dice'])


def test_classes_and_pixels_that_do_not_count():
    true = np.where(SQUARE, 2, 1)
    true[:, 20:] = 255
    found = np.where(true == 255, 2, true)
    values = evaluate([(found, true)], ('background', 'one', 'two'))
    assert values['seg/dice_one'] == values['seg/dice_two'] == values['seg/dice'] == 100
    found[found == 2] = 0
    values = evaluate([(found, true)], ('background', 'one', 'two'))
    assert (values['seg/dice_one'], values['seg/dice_two'], values['seg/dice']) == (100, 0, 50)
    assert set(evaluate([(found, true)], ('a', 'b', 'c'), background=None)) > {'seg/dice_a', 'seg/hausdorff_c'}


def test_errors():
    with pytest.raises(ValueError, match=r'percentile must be in \(0, 100\], found 0'):
        METRICS.build(dict(type='SegmentationMetric', percentile=0))
    with pytest.raises(ValueError, match=r'prediction of 0.jpg is \(20, 26\), its ground truth \(20, 25\)'):
        evaluate([(SQUARE, SQUARE[:, 1:])])
    metric = METRICS.build(dict(type='SegmentationMetric'))
    with pytest.raises(ValueError, match='5.jpg has no map of classes'):
        metric.process(None, [dict(img_path='5.jpg')])

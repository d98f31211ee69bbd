"""Overlap and distance of segmented regions."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from scipy.ndimage import binary_erosion, distance_transform_edt

from ..utils.checks import is_number, require
from .no_results import require_results


def dice(predicted: np.ndarray, true: np.ndarray) -> float:
    """Overlap of two masks, twice the intersection over the sum of the areas; 1 where both are empty.

    Args:
        predicted: ``(H, W)`` of bool, as ``true``.
        true: see ``predicted``.

    Examples:
        >>> dice(np.array([[True, True, False]]), np.array([[True, False, False]]))
        0.6666666666666666
    """
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else 1.0


def hausdorff_distance(predicted: np.ndarray, true: np.ndarray, percentile: float = 100.0) -> float:
    """Distance of the boundaries of two masks: from any pixel of one to the nearest of the other, at most.

    A pixel is at the boundary if one of its four neighbours, or the edge of the image, is outside of the mask.

    Args:
        predicted: ``(H, W)`` of bool, as ``true``.
        true: see ``predicted``.
        percentile: in (0, 100]; 95 leaves out the farthest 5 % in each direction.

    Returns:
        In pixels. 0 where both masks are empty; the diagonal of the image where one is.

    Examples:
        >>> hausdorff_distance(np.array([[True, True, False]]), np.array([[True, False, False]]))
        1.0
    """
    if not (predicted.any() and true.any()):
        return 0.0 if predicted.any() == true.any() else float(np.hypot(*true.shape))
    ours, theirs = _boundary(predicted), _boundary(true)
    to_theirs = distance_transform_edt(~theirs)[ours]
    to_ours = distance_transform_edt(~ours)[theirs]
    return float(max(np.percentile(to_theirs, percentile), np.percentile(to_ours, percentile)))


def _boundary(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask)


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """:func:`dice` and :func:`hausdorff_distance` of each class, means over the images.

    Dice in percent, distances in pixels. Classes that neither the image nor the prediction has are left out, so that
    they do not raise the mean. With several classes ``dice_<class>`` and ``hausdorff_<class>`` are there as well.

    Args:
        percentile: see :func:`hausdorff_distance`.
        background: class that is left out; ``None`` for none.
        ignore_index: class of pixels that do not count.
        kwargs: see mmengine's ``BaseMetric``.

    Raises:
        ValueError: ``percentile`` is out of its range; or a map has another size than its ground truth.
    """

    default_prefix = 'seg'

    def __init__(
        self, percentile: float = 100.0, background: Optional[int] = 0, ignore_index: int = 255, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        right = is_number(percentile, 0, 100) and percentile > 0
        require(right, 'SegmentationMetric', 'percentile', 'in (0, 100]', percentile)
        self.percentile = percentile
        self.background = background
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compares the maps of a batch, ``pred_sem_seg`` with ``gt_sem_seg``."""
        for sample in data_samples:
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'SegmentationMetric: {sample.get("img_path", "an image")} has no map of classes (gt_sem_seg). '
                    "Give its pipeline dict(type='LoadAnnotations', with_bbox=False, with_seg=True)."
                )
            predicted, true = (
                np.asarray(sample[key]['sem_seg'].cpu()).squeeze(0) for key in ('pred_sem_seg', 'gt_sem_seg')
            )
            if predicted.shape != true.shape:
                raise ValueError(
                    f'SegmentationMetric: the prediction of {sample.get("img_path", "an image")} is {predicted.shape}, '
                    f'its ground truth {true.shape}. Load annotations after Resize in the pipeline of the test.'
                )
            counted = true != self.ignore_index
            self.results.append([self._compare(predicted, true, counted, index) for index in self._classes()])

    def compute_metrics(self, results: List[List[Tuple[float, float]]]) -> Dict[str, float]:
        """``dice`` and ``hausdorff``, means over the classes; nan where nothing was there to be found or was found."""
        require_results(self, results)
        table = np.asarray(results, float).reshape(len(results), -1, 2)
        by_class = _mean_of_present(table)
        names = [self.dataset_meta['classes'][index] for index in self._classes()]
        values = dict(zip(('dice', 'hausdorff'), _mean_of_present(by_class).tolist()))
        if len(names) > 1:
            for name, (overlap, distance) in zip(names, by_class.tolist()):
                values.update({f'dice_{name}': overlap, f'hausdorff_{name}': distance})
        return values

    def _classes(self) -> List[int]:
        return [index for index in range(len(self.dataset_meta['classes'])) if index != self.background]

    def _compare(self, predicted: np.ndarray, true: np.ndarray, counted: np.ndarray, index: int) -> Tuple[float, float]:
        ours, theirs = (predicted == index) & counted, true == index
        if not (ours.any() or theirs.any()):
            return np.nan, np.nan
        return 100 * dice(ours, theirs), hausdorff_distance(ours, theirs, self.percentile)


def _mean_of_present(table: np.ndarray) -> np.ndarray:
    """Mean over the first axis without nan; nan where there is nothing else."""
    present = ~np.isnan(table)
    return np.where(present, table, 0).sum(0) / np.where(present.any(0), present.sum(0), np.nan)

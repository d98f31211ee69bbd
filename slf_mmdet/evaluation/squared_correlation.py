"""The squared correlation of predictions and measured values."""

from typing import Any, Dict, Optional, Sequence

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from .no_results import require_results


def squared_correlation(pred: np.ndarray, target: np.ndarray) -> float:
    r"""Pearson's :math:`r^2` in [0, 1]: the metric of the Merck molecular activity challenge.

    It does not change with the scale or the offset of the predictions. Predictions that are all equal have none of it,
    which counts as 0: they tell nothing of the target.

    Args:
        pred: ``(N,)``.
        target: ``(N,)``.

    Raises:
        ValueError: there are fewer than two values, one is not finite, or all targets are equal.

    Examples:
        >>> squared_correlation(np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 0.0]))
        1.0
    """
    pred, target = np.asarray(pred, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if len(target) < 2:
        raise ValueError(f'The squared correlation needs at least two values, found {len(target)}.')
    if not np.isfinite([pred, target]).all():
        raise ValueError('The squared correlation needs finite values, found nan or infinity.')
    if np.ptp(target) == 0:
        raise ValueError(
            f'The squared correlation is undefined: all {len(target)} targets are {target[0]}. Take a test set whose '
            'targets differ.'
        )
    if np.ptp(pred) == 0:
        return 0.0
    return float(min(np.corrcoef(pred, target)[0, 1] ** 2, 1.0))


@METRICS.register_module()
class SquaredCorrelation(BaseMetric):
    """See :func:`squared_correlation`, over all samples of an evaluation, as ``regression/squared_correlation``.

    Args:
        collect_device: see mmengine's ``BaseMetric``.
        prefix: likewise.
    """

    default_prefix: Optional[str] = 'regression'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collects ``pred_value`` and ``gt_value``, scalars, of each sample."""
        self.results += [(float(sample['pred_value']), float(sample['gt_value'])) for sample in data_samples]

    def compute_metrics(self, results: list) -> Dict[str, float]:
        require_results(self, results)
        pred, target = np.array(results).T
        return dict(squared_correlation=squared_correlation(pred, target))

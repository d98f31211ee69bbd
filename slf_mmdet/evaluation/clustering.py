"""How well clusters agree with classes."""

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from scipy.optimize import linear_sum_assignment

from ..utils.optional import needs
from .no_results import require_results


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Share of images whose class is that of their cluster, under the best one-to-one mapping of clusters to classes.

    Where there are more clusters than classes, or fewer, the images of those that are left over count as wrong.

    Args:
        labels: ``(N,)`` class of each image, integers >= 0.
        clusters: ``(N,)`` cluster of each image, integers >= 0.

    Examples:
        >>> clustering_accuracy(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1]))
        0.75
    """
    counts = np.zeros((clusters.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels))


@METRICS.register_module()
class ClusteringMetric(BaseMetric):
    """ACC, NMI and ARI of predicted clusters.

    ``ACC`` is :func:`clustering_accuracy`, ``NMI`` the mutual information over the mean of the two entropies, ``ARI``
    the adjusted Rand index, both of scikit-learn. 1 is a perfect agreement; random clusters have an NMI and an ARI of
    about 0. They are evaluated on the images that are clustered; training does not look at the classes.

    Args:
        kwargs: see mmengine's ``BaseMetric``.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
        ValueError: there are no images, they have no class, or all are of one class.
    """

    default_prefix = 'clustering'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with needs('ClusteringMetric', 'scikit-learn', 'cluster'):
            import sklearn.metrics
        self._scores = sklearn.metrics

    def process(self, data_batch: Any, data_samples: Sequence[Dict[str, Any]]) -> None:
        """Takes class and cluster of each image, ``gt_label`` and ``pred_label`` of one number."""
        for sample in data_samples:
            if 'gt_label' not in sample:
                raise ValueError(
                    f'{type(self).__name__}: an image has no gt_label, its class, to compare the clusters with. '
                    'Evaluate on a data set with labels.'
                )
            self.results.append((int(sample['gt_label']), int(sample['pred_label'])))

    def compute_metrics(self, results: List[Tuple[int, int]]) -> Dict[str, float]:
        """The three scores in [0, 1]; an ARI below chance is negative."""
        require_results(self, results)
        labels, clusters = np.array(results).T
        if len(np.unique(labels)) < 2:
            raise ValueError(
                f'{type(self).__name__}: all {len(labels)} images are of class {labels[0]}; agreement with clusters '
                'is defined for at least two classes.'
            )
        return dict(
            ACC=clustering_accuracy(labels, clusters),
            NMI=float(self._scores.normalized_mutual_info_score(labels, clusters)),
            ARI=float(self._scores.adjusted_rand_score(labels, clusters)),
        )

"""ClusteringMetric: values by hand, by enumeration, and what does not matter to them."""

import itertools
import sys

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS

from slf_mmdet.evaluation import clustering_accuracy

CONFIG = dict(type='ClusteringMetric')


def evaluate(labels, clusters):
    metric = METRICS.build(CONFIG)
    for start in range(0, len(labels), 3):  # in batches
        samples = [
            dict(gt_label=torch.tensor([label]), pred_label=torch.tensor([cluster]))
            for label, cluster in zip(labels[start : start + 3], clusters[start : start + 3])
        ]
        metric.process({}, samples)
    return metric.evaluate(len(labels))


def by_enumeration(labels, clusters):
    """The best of all one-to-one mappings, one after the other."""
    size = max(labels.max(), clusters.max()) + 1
    return max(np.mean(np.array(mapping)[clusters] == labels) for mapping in itertools.permutations(range(size)))


@pytest.mark.parametrize(('num_classes', 'num_clusters'), [(4, 4), (4, 2), (2, 5), (5, 5)])
def test_accuracy_equals_that_of_the_best_of_all_mappings(num_classes, num_clusters):
    rng = np.random.default_rng(num_classes * 10 + num_clusters)
    for _ in range(5):
        labels, clusters = rng.integers(num_classes, size=40), rng.integers(num_clusters, size=40)
        assert clustering_accuracy(labels, clusters) == pytest.approx(by_enumeration(labels, clusters))


def test_values_by_hand():
    # Cluster 0 is class 1, cluster 1 is class 0: 3 of 4 are right. Entropies: classes ln 2; clusters
    # -(1/4 ln 1/4 + 3/4 ln 3/4) = .5623. Mutual information: ln 2 + .5623 - joint entropy
    # (1/2, 1/4, 1/4 -> 1.0397) = .2158, over the mean .6277: .3437. ARI: pairs in the same class and cluster 1 (both
    # of class 0), in the same class 2, in the same cluster 3, of 6: (1 - 2 * 3 / 6) / ((2 + 3) / 2 - 1) = 0
    scores = evaluate([0, 0, 1, 1], [1, 1, 0, 1])
    assert scores == pytest.approx({'clustering/ACC': 0.75, 'clustering/NMI': 0.3437, 'clustering/ARI': 0}, abs=1e-4)


def test_names_of_clusters_do_not_matter():
    labels = [0, 1, 2, 0, 1, 2, 2]
    perfect = evaluate(labels, [[2, 0, 1][label] for label in labels])
    assert perfect == pytest.approx({'clustering/ACC': 1, 'clustering/NMI': 1, 'clustering/ARI': 1})


def test_one_cluster_for_all_images_agrees_with_nothing():
    scores = evaluate([0, 0, 0, 1, 2], [4] * 5)
    assert scores == pytest.approx({'clustering/ACC': 0.6, 'clustering/NMI': 0, 'clustering/ARI': 0})


def test_images_of_one_class_only():
    with pytest.raises(ValueError, match='ClusteringMetric: all 3 images are of class 7.*at least two classes'):
        evaluate([7, 7, 7], [0, 1, 2])


def test_no_images():
    with pytest.raises(ValueError, match='ClusteringMetric: the data set has nothing'):
        evaluate([], [])


def test_images_without_a_class():
    with pytest.raises(ValueError, match='an image has no gt_label, its class'):
        METRICS.build(CONFIG).process({}, [dict(pred_label=torch.tensor([0]))])


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.metrics', None)
    with pytest.raises(ImportError, match=r"needs scikit-learn: pip install 'slf-mmdet\[cluster\]'"):
        METRICS.build(CONFIG)


@pytest.mark.parametrize(
    'kind', ['ClusteringMetric', 'BLEUMetric', 'SquaredCorrelation', 'RestorationMetric', 'SegmentationMetric']
)
def test_an_evaluation_of_nothing_says_so(kind):
    metric = METRICS.build(dict(type=kind))
    metric.dataset_meta = dict(classes=('background', 'one'))
    with pytest.raises(ValueError, match=f'{kind}: the data set has nothing to evaluate'):
        metric.compute_metrics([])

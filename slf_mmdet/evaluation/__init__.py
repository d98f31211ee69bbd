"""Metrics that neither mmdet nor mmpretrain has, registered in mmdet's registry."""

from .bleu import BLEUMetric, prefix_bleu, sentence_bleu
from .clustering import ClusteringMetric, clustering_accuracy
from .frechet_distance import FrechetDistance
from .squared_correlation import SquaredCorrelation

__all__ = [
    'BLEUMetric',
    'ClusteringMetric',
    'FrechetDistance',
    'SquaredCorrelation',
    'clustering_accuracy',
    'prefix_bleu',
    'sentence_bleu',
]

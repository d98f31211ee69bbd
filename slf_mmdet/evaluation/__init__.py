"""Metrics that neither mmdet nor mmpretrain has, registered in mmdet's registry."""

from .bleu import BLEUMetric, prefix_bleu, sentence_bleu
from .clustering import ClusteringMetric, clustering_accuracy
from .frechet_distance import FrechetDistance
from .restoration import RestorationMetric, psnr
from .segmentation import SegmentationMetric, dice, hausdorff_distance
from .squared_correlation import SquaredCorrelation

__all__ = [
    'BLEUMetric',
    'ClusteringMetric',
    'FrechetDistance',
    'RestorationMetric',
    'SegmentationMetric',
    'SquaredCorrelation',
    'clustering_accuracy',
    'dice',
    'hausdorff_distance',
    'prefix_bleu',
    'psnr',
    'sentence_bleu',
]

"""Metrics that neither mmdet nor mmpretrain has, registered in mmdet's registry."""

from .bleu import BLEUMetric, prefix_bleu, sentence_bleu
from .frechet_distance import FrechetDistance
from .squared_correlation import SquaredCorrelation

__all__ = [
    'BLEUMetric',
    'FrechetDistance',
    'SquaredCorrelation',
    'prefix_bleu',
    'sentence_bleu',
]

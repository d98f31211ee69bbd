"""Metrics that neither mmdet nor mmpretrain has."""

from .frechet_distance import FrechetDistance
from .squared_correlation import SquaredCorrelation

__all__ = [
    'FrechetDistance',
    'SquaredCorrelation',
]

"""Metrics that mmdet does not have."""

from .squared_correlation import SquaredCorrelation

__all__ = ['SquaredCorrelation']

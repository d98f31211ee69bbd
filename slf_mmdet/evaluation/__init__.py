"""Metrics that neither mmdet nor mmpretrain has."""

from .frechet_distance import FrechetDistance

__all__ = ['FrechetDistance']

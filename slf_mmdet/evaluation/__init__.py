"""Metrics, registered in mmdet's registry."""

from .segmentation import SegmentationMetric, dice, hausdorff_distance

__all__ = ['SegmentationMetric', 'dice', 'hausdorff_distance']

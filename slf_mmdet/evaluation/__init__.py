"""Metrics, registered in mmdet's registry."""

from .restoration import RestorationMetric, psnr
from .segmentation import SegmentationMetric, dice, hausdorff_distance

__all__ = ['RestorationMetric', 'SegmentationMetric', 'dice', 'hausdorff_distance', 'psnr']

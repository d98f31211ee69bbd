"""Detectors."""

from .balanced_detector import BalancedDetector
from .yolov1 import YOLOV1

__all__ = ['YOLOV1', 'BalancedDetector']

"""Detectors."""

from .yolov1 import YOLOV1

__all__ = ['YOLOV1']

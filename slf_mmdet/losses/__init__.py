"""Losses: pure functions over tensors."""

from .yolov1 import YOLOV1Targets, yolov1_parts, yolov1_targets

__all__ = ['YOLOV1Targets', 'yolov1_parts', 'yolov1_targets']

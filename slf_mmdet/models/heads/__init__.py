"""Heads for detection and classification."""

from .slf_cls_head import SLFClsHead
from .yolov1_head import YOLOV1Head

__all__ = ['SLFClsHead', 'YOLOV1Head']

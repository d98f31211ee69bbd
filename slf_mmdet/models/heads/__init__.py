"""Heads for detection, instance segmentation and classification."""

from .boundary_mask_head import BoundaryMaskHead
from .slf_cls_head import SLFClsHead
from .yolov1_head import YOLOV1Head

__all__ = ['BoundaryMaskHead', 'SLFClsHead', 'YOLOV1Head']

"""Detection heads."""

from .yolov1_head import YOLOV1Head

__all__ = ['YOLOV1Head']

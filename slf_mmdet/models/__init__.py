"""Backbones, heads and detectors, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .detectors import YOLOV1, BalancedDetector
from .heads import YOLOV1Head

__all__ = ['YOLOV1', 'BalancedDetector', 'TorchVisionBackbone', 'YOLOV1Darknet', 'YOLOV1Head']

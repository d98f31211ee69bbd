"""Backbones, heads, detectors and models of other tasks, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .clusterers import DeepAdaptiveClusterer
from .detectors import YOLOV1, BalancedDetector
from .heads import SLFClsHead, YOLOV1Head

__all__ = [
    'YOLOV1',
    'BalancedDetector',
    'DeepAdaptiveClusterer',
    'SLFClsHead',
    'TorchVisionBackbone',
    'YOLOV1Darknet',
    'YOLOV1Head',
]

"""Backbones, heads, detectors and segmentors, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .detectors import YOLOV1, BalancedDetector
from .heads import SLFClsHead, YOLOV1Head
from .segmentors import SemanticSegmentor

__all__ = [
    'YOLOV1',
    'BalancedDetector',
    'SLFClsHead',
    'SemanticSegmentor',
    'TorchVisionBackbone',
    'YOLOV1Darknet',
    'YOLOV1Head',
]

"""Backbones, heads and detectors, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .detectors import YOLOV1, BalancedDetector
from .heads import SLFClsHead, YOLOV1Head
from .translation import Translator

__all__ = [
    'YOLOV1',
    'BalancedDetector',
    'SLFClsHead',
    'TorchVisionBackbone',
    'Translator',
    'YOLOV1Darknet',
    'YOLOV1Head',
]

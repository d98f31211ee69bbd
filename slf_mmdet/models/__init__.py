"""Backbones, heads, detectors and a regressor, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .detectors import YOLOV1, BalancedDetector
from .graphs import GraphRegressor
from .heads import SLFClsHead, YOLOV1Head

__all__ = [
    'YOLOV1',
    'BalancedDetector',
    'GraphRegressor',
    'SLFClsHead',
    'TorchVisionBackbone',
    'YOLOV1Darknet',
    'YOLOV1Head',
]

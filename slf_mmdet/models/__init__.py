"""Backbones, heads, detectors and models for other tasks, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .detectors import YOLOV1, BalancedDetector
from .heads import SLFClsHead, YOLOV1Head
from .restorers import ResidualUpsampler, SuperResolver
from .segmentors import SemanticSegmentor

__all__ = [
    'YOLOV1',
    'BalancedDetector',
    'ResidualUpsampler',
    'SLFClsHead',
    'SemanticSegmentor',
    'SuperResolver',
    'TorchVisionBackbone',
    'YOLOV1Darknet',
    'YOLOV1Head',
]

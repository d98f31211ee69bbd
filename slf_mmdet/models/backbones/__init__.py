"""Backbones: what turns images into the feature map that a head reads."""

from .torchvision_backbone import TorchVisionBackbone
from .yolov1_darknet import YOLOV1Darknet

__all__ = ['TorchVisionBackbone', 'YOLOV1Darknet']

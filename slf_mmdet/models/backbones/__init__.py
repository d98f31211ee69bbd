"""Backbones."""

from .cifar_densenet import cifar_densenet
from .cifar_resnet import CIFARResNet, WideResNet
from .efficientnet import EfficientNetBackbone
from .torchvision_backbone import TorchVisionBackbone
from .yolov1_darknet import YOLOV1Darknet

__all__ = [
    'CIFARResNet',
    'EfficientNetBackbone',
    'TorchVisionBackbone',
    'WideResNet',
    'YOLOV1Darknet',
    'cifar_densenet',
]

"""Backbones."""

from .cifar_densenet import cifar_densenet
from .cifar_resnet import CIFARResNet, WideResNet
from .efficientnet import EfficientNetBackbone
from .torchvision_backbone import TorchVisionBackbone
from .unet import UNet
from .yolov1_darknet import YOLOV1Darknet

__all__ = [
    'CIFARResNet',
    'EfficientNetBackbone',
    'TorchVisionBackbone',
    'UNet',
    'WideResNet',
    'YOLOV1Darknet',
    'cifar_densenet',
]

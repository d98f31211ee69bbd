"""Backbones, heads, detectors, and the models of other tasks, registered in mmdet's registries."""

from .backbones import TorchVisionBackbone, YOLOV1Darknet
from .clusterers import DeepAdaptiveClusterer
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .detectors import YOLOV1, BalancedDetector
from .gan import GAN
from .graphs import GraphRegressor
from .heads import SLFClsHead, YOLOV1Head
from .optim_per_module import OptimPerModule
from .restorers import ResidualUpsampler, SuperResolver
from .segmentors import SemanticSegmentor
from .translation import Translator

__all__ = [
    'GAN',
    'YOLOV1',
    'BalancedDetector',
    'DCGANDiscriminator',
    'DCGANGenerator',
    'DeepAdaptiveClusterer',
    'GraphRegressor',
    'OptimPerModule',
    'ResidualUpsampler',
    'SLFClsHead',
    'SemanticSegmentor',
    'SuperResolver',
    'TorchVisionBackbone',
    'Translator',
    'YOLOV1Darknet',
    'YOLOV1Head',
]

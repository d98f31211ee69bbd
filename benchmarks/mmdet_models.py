"""Detectors of mmdet's own configs with a small backbone, nothing to download, and a batch that each of them takes."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from torch import Tensor, nn

from slf_mmdet.models.detectors.probe import _batch

KEPT = ('num_stages', 'out_indices', 'strides', 'dilations')
CONFIGS = Path(mmdet.__file__).parent / '.mim/configs'
SMALLER = {256: 64, 512: 128, 1024: 256, 2048: 512}  # channels of the stages of a ResNet-50 and a ResNet-18


def small_model(config: str) -> ConfigDict:
    """The model of one of mmdet's configs, with a ResNet-18 instead of a larger ResNet, and random weights.

    Args:
        config: path below mmdet's ``configs``.
    """
    model = Config.fromfile(CONFIGS / config).model
    _make_small(model)
    return model


def _make_small(node: Any) -> None:
    if isinstance(node, dict):
        if 'Pretrained' in str(node.get('init_cfg')):
            node.pop('init_cfg')
        backbone, neck = node.get('backbone'), node.get('neck')
        if isinstance(backbone, dict) and backbone.get('type') == 'ResNet' and backbone.get('depth', 0) > 34:
            kept = {
                key: backbone[key] for key in ('num_stages', 'out_indices', 'strides', 'dilations') if key in backbone
            }
            node['backbone'] = dict(type='ResNet', depth=18, **kept)
            if 'panoptic_head' in node:
                node['panoptic_head']['in_channels'] = _smaller(node['panoptic_head']['in_channels'])
            for child in neck if isinstance(neck, list) else [neck]:
                if isinstance(child, dict) and 'in_channels' in child:
                    child['in_channels'] = _smaller(child['in_channels'])
                    break  # what follows a neck takes the neck's channels
        for value in node.values():
            _make_small(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _make_small(value)


def _smaller(channels: Any) -> Any:
    return [_smaller(each) for each in channels] if isinstance(channels, (list, tuple)) else SMALLER[channels]


def build_balanced(model: Dict[str, Any], loss_balancer: Dict[str, Any]) -> nn.Module:
    """A balanced detector in training mode; each loss is a part. The same seed for each."""
    torch.manual_seed(0)
    built = MODELS.build(dict(type='BalancedDetector', detector=model, loss_balancer=loss_balancer))
    built.init_weights()
    return built.train()


def two_images(size: int, masks: bool = True) -> Tuple[Tensor, List[DetDataSample]]:
    """Two random images of ``size`` px with one object each."""
    torch.manual_seed(0)
    return _batch(size, masks)

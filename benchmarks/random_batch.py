"""Detectors of our configs and random images with random objects for them."""

from typing import Any, Dict

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

from slf_mmdet import get_config_path


def read_config(name: str) -> Config:
    """One of our configs.

    Args:
        name: path below ``configs``.
    """
    cfg = Config.fromfile(get_config_path(name))
    init_default_scope('mmdet')
    return cfg


def build(cfg: Config, device: torch.device) -> nn.Module:
    """A detector in training mode, with random weights."""
    torch.manual_seed(0)
    return MODELS.build(cfg.model).to(device).train()


def random_batch(cfg: Config, num_images: int, num_objects: int = 3, seed: int = 0) -> Dict[str, Any]:
    """What the data loader of a config yields: uint8 images and boxes, on the host.

    Args:
        cfg: defines size (``img_scale``) and number of classes.
        num_images: N.
        num_objects: per image.
        seed: of the images and boxes.
    """
    generator = torch.Generator().manual_seed(seed)
    width, height = cfg.img_scale
    size = torch.tensor([width, height])
    inputs, samples = [], []
    for _ in range(num_images):
        inputs.append(torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8))
        corners = torch.rand(num_objects, 2, 2, generator=generator).sort(dim=1).values * size
        labels = torch.randint(cfg.model.bbox_head.num_classes, (num_objects,), generator=generator)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width),
                ori_shape=(height, width),
                batch_input_shape=(height, width),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(bboxes=corners.flatten(1), labels=labels)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)

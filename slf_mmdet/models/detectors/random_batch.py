"""Random images with objects, for a step of a detector without data."""

import copy
from typing import List, Tuple

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor


def random_batch(size: int, with_masks: bool) -> Tuple[Tensor, List[DetDataSample]]:
    """Two images with one object each, with all fields that mmdet's detectors need."""
    shape = (size, size)
    sample = DetDataSample(
        metainfo=dict(
            img_id=0,
            img_path='',
            img_shape=shape,
            ori_shape=shape,
            pad_shape=shape,
            batch_input_shape=shape,
            scale_factor=(1.0, 1.0),
            flip=False,
            flip_direction=None,
        )
    )
    first, last = size // 4, size * 3 // 4
    objects = InstanceData(
        bboxes=torch.tensor([[first, first, last, last]], dtype=torch.float),
        labels=torch.zeros(1, dtype=torch.long),
    )
    if with_masks:
        mask = np.zeros((1, *shape), dtype=np.uint8)
        mask[:, first:last, first:last] = 1
        objects.masks = BitmapMasks(mask, *shape)
        sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, *shape, dtype=torch.long))
    sample.gt_instances = objects
    sample.ignored_instances = objects[torch.zeros(1, dtype=torch.bool)]
    return torch.randn(2, 3, *shape), [sample, copy.deepcopy(sample)]

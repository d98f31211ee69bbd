"""A small YOLO with SLF and random images for it. Spawned processes import it by this name."""

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData

import slf_mmdet  # noqa: F401  spawned processes start from here

from ...helpers import DIGITS_SLF

LEARNS_AT_ONCE = dict(type='SLFBalancer', signal=dict(type='TrainingLoss'))


def build_detector(seed=0, loss_balancer=LEARNS_AT_ONCE):
    torch.manual_seed(seed)
    cfg = Config.fromfile(DIGITS_SLF).model
    cfg.bbox_head.loss_balancer = loss_balancer
    detector = MODELS.build(cfg)
    detector.init_weights()
    return detector


def batch(num_images=4, num_objects=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for _ in range(num_images):
        inputs.append(torch.randint(0, 256, (3, 112, 112), generator=generator, dtype=torch.uint8))
        corner = torch.rand(num_objects, 2, generator=generator) * 80
        sample = DetDataSample(metainfo=dict(img_shape=(112, 112), ori_shape=(112, 112), scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + 20], 1),
            labels=torch.randint(0, 10, (num_objects,), generator=generator),
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def process(rank, out):
    """Trains with each setting of ``find_unused_parameters``; saves the parameters as ``out.RANK``."""
    result = {}
    for find_unused in (False, True):
        model = MMDistributedDataParallel(build_detector(), find_unused_parameters=find_unused)
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
        for step in range(3):
            # The second process never sees an object.
            model.train_step(batch(num_objects=2 * (1 - rank), seed=10 * rank + step), wrapper)
        result[find_unused] = {name: value.detach() for name, value in model.module.named_parameters()}
    torch.save(result, f'{out}.{rank}')

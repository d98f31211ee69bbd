"""Detectors in two processes, the second of which never sees an object. Spawned processes import it by this name."""

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

import slf_mmdet  # noqa: F401  spawned processes start from here

from .small_yolov1 import batch
from .tiny_detectors import build, tiny_model

STOCHASTIC = dict(
    type='StochasticLoss',
    feature_dim=4,
    candidates=[dict(type='IoULoss', mode='linear'), dict(type='GIoULoss')],
)


def models():
    """Name -> config, and whether it needs ``find_unused_parameters``."""
    fcos = tiny_model('fcos')
    fcos.bbox_head.loss_bbox = STOCHASTIC  # the head leaves it out where there is no object
    found = dict(
        retinanet=(tiny_model('retinanet'), False),
        faster_rcnn=(tiny_model('faster_rcnn'), False),
        stochastic=(fcos, True),
    )
    for cfg, _ in found.values():  # measures in each step, but costs something from the first one on
        cfg.loss_balancer.signal = dict(type='GradientAlignment', target='training_loss', interval=1)
    delta_ap = tiny_model('retinanet')
    delta_ap.loss_balancer.signal = dict(type='DeltaAP', interval=1)
    return dict(found, delta_ap=(delta_ap, False))


def process(rank, out):
    """Saves the parameters after two steps as ``out.RANK``."""
    result = {}
    for name, (cfg, find_unused) in models().items():
        model = MMDistributedDataParallel(build(cfg), find_unused_parameters=find_unused)
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.001))
        for step in range(5):
            model.train_step(batch(2, num_objects=2 * (1 - rank), seed=10 * rank + step), wrapper)
        result[name] = {key: value.detach() for key, value in model.module.named_parameters()}
    torch.save(result, f'{out}.{rank}')

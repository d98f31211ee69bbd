"""A detector of one linear layer with batch norm and a balancer, in a run of mmengine's runner."""

import itertools
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from slf_mmdet.balancers import DetectionQuality

PARTS = ('coord', 'cls', 'obj')
DIM = len(PARTS)
_names = itertools.count()


class TinyDetector(BaseModel):
    """Its parts are the squared outputs of a layer, per image; an image is a vector."""

    def __init__(self, balancer, parts=PARTS):
        super().__init__()
        self.norm = nn.BatchNorm1d(DIM)
        self.layer = nn.Linear(DIM, DIM)
        self.balancer = MODELS.build(dict(balancer), default_args=dict(parts=parts, feature_dim=DIM))

    def forward(self, inputs, data_samples, mode='loss'):
        output = self.layer(self.norm(inputs))
        faults = torch.tensor([sample.get('fault', 0.0) for sample in data_samples])
        parts = {name: output[:, i].square() + 0.1 for i, name in enumerate(PARTS)}
        parts['cls'] = parts['cls'] + faults
        return self.balancer(
            parts,
            features=output,
            shared_parameters=self.layer.weight,
            output_parameters=self.layer.bias,
            detection_quality=DetectionQuality(quality, [output]),
            quality_of=lambda data: quality([self.layer(data['inputs'])]),
        )


def quality(inputs):
    """Stands for the average precision of detections: the smaller the outputs, the better."""
    return (-inputs[0].square().sum(1)).exp().mean()


def image(index, fault=None, **sample):
    """An image of a data set; ``fault`` is added to its part ``cls``, or put into its pixels."""
    inputs = torch.randn(DIM, generator=torch.Generator().manual_seed(index))
    if fault == 'pixel':
        inputs[0] = float('nan')
    elif fault is not None:
        sample['fault'] = fault
    return dict(inputs=inputs, data_samples=dict(img_path=f'images/{index}.jpg', **sample))


def collate(batch):
    return dict(
        inputs=torch.stack([item['inputs'] for item in batch]), data_samples=[item['data_samples'] for item in batch]
    )


def build_runner(
    work_dir,
    model,
    images,
    *hooks,
    max_epochs=1,
    resume=False,
    shuffle=False,
    optimizer=None,
    runner=None,
    runner_class=Runner,
    **wrapper,
):
    """Batches of two; ``runner`` are further arguments of the runner, ``wrapper`` of the optimizer's wrapper."""
    return runner_class(
        model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            collate_fn=collate,
            sampler=dict(type='DefaultSampler', shuffle=shuffle),
            dataset=images,
        ),
        optim_wrapper=dict(optimizer=optimizer or dict(type='SGD', lr=0.05, momentum=0.9), **wrapper),
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        custom_hooks=list(hooks),
        default_hooks=dict(checkpoint=None),
        default_scope='mmdet',
        resume=resume,
        experiment_name=f'{Path(work_dir).name}_{next(_names)}',
        **(runner or {}),
    )

"""A run of mmengine's runner with a linear model whose loss a balancer weighs."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Balanced(BaseModel):
    """A linear layer whose squared outputs are the parts, times constants; one balancer in each slot."""

    def __init__(self, balancer, scales, slots=('balancer',)):
        super().__init__()
        self.layer = torch.nn.Linear(3, len(scales))
        self.scales = dict(scales)
        self.slots = slots
        for name in slots:
            config = dict(balancer, parts=tuple(scales), feature_dim=len(scales))
            setattr(self, name, MODELS.build(config))

    def parts(self, inputs):
        output = self.layer(inputs)
        return {
            name: scale * (output[:, i].square() + 0.1) for i, (name, scale) in enumerate(self.scales.items())
        }, output

    def forward(self, inputs, mode='loss'):
        losses = {}
        for name in self.slots:
            out = getattr(self, name)(*self.parts(inputs))
            losses.update(out if len(self.slots) == 1 else {f'{name}.{key}': value for key, value in out.items()})
        return losses


@pytest.fixture
def make_runner(tmp_path):
    def make(
        model,
        *hooks,
        epochs=1,
        iters_per_epoch=8,
        lr=0.0,
        log_interval=4,
        optim_wrapper=None,
        visualizer=None,
        work_dir=tmp_path,
        resume=False,
        **kwargs,
    ):
        data = torch.rand(2 * iters_per_epoch, 3, generator=torch.Generator().manual_seed(0))
        return Runner(
            model,
            work_dir=str(work_dir),
            resume=resume,
            train_dataloader=dict(
                batch_size=2,
                collate_fn=dict(type='default_collate'),
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=[dict(inputs=row) for row in data],
            ),
            optim_wrapper=optim_wrapper or dict(optimizer=dict(type='SGD', lr=lr)),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            custom_hooks=list(hooks),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=log_interval), **kwargs),
            default_scope='mmdet',
            experiment_name=f'{tmp_path.parent.name}_{tmp_path.name}',
            randomness=dict(seed=0),
            visualizer=visualizer,
        )

    return make


@pytest.fixture
def balanced():
    return Balanced

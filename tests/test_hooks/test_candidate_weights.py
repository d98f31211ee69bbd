"""The log of the candidates' weights, in a run of mmengine's runner."""

import pytest
import torch
from mmdet.registry import HOOKS, MODELS
from mmengine.model import BaseModel
from mmengine.runner import Runner

CANDIDATES = [dict(type='ClassMSELoss'), dict(type='CrossEntropyLoss')]


class Classifier(BaseModel):
    def __init__(self, slots, mixture):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)
        for slot in slots:
            config = dict(candidates=CANDIDATES, feature_dim=3, sampler=dict(type='Softmax'), **mixture)
            setattr(self, slot, MODELS.build(config))
        self.slots = slots

    def forward(self, inputs, labels, mode='loss'):
        return {slot: getattr(self, slot)(self.layer(inputs), labels) for slot in self.slots}


MIXTURES = [
    (dict(type='StochasticLoss', base_weights=[3, 1]), (0.75, 0.25)),
    (dict(type='PaperStochasticLoss', start='uniform'), (0.5, 0.5)),
]


@pytest.mark.parametrize(('mixture', 'weights'), MIXTURES, ids=['StochasticLoss', 'PaperStochasticLoss'])
@pytest.mark.parametrize(
    ('slots', 'prefixes'),
    [(['loss_cls'], ['']), (['loss_cls', 'loss_aux'], ['loss_cls_', 'loss_aux_'])],
)
def test_weights_of_every_iteration_are_in_the_log(tmp_path, slots, prefixes, mixture, weights):
    hook = dict(type='CandidateWeightsHook')
    runner = Runner(
        Classifier(slots, mixture),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            batch_size=2,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=[dict(inputs=torch.rand(2), labels=torch.tensor(i % 3)) for i in range(8)],
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        custom_hooks=[HOOKS.build(hook)],
        default_hooks=dict(checkpoint=None),
        default_scope='mmdet',
        experiment_name=f'candidate_weights_{len(slots)}_{mixture["type"]}',
    )
    runner.train()
    for prefix in prefixes:
        for name, value in zip(('ClassMSELoss', 'CrossEntropyLoss'), weights):
            history, _ = runner.message_hub.get_scalar(f'train/balance_{prefix}{name}').data
            assert history.tolist() == pytest.approx([value] * 4)

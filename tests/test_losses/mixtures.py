"""Candidates and predictions for the tests of StochasticLoss and PaperStochasticLoss."""

import torch
from mmdet.registry import MODELS

from slf_mmdet.slf import Sampler

C = 5
FIVE = [
    dict(type=name)
    for name in (
        'ClassMSELoss',
        'ClassMAELoss',
        'CategoricalHingeLoss',
        'CosineProximityLoss',
        'ProbabilityCrossEntropyLoss',
    )
]
CE = dict(type='CrossEntropyLoss')
BCE = dict(type='CrossEntropyLoss', use_sigmoid=True)
SOFTMAX = dict(type='Softmax')


def gumbel(num_samples, **settings):
    return dict(type='MultipleGumbelSoftmax', num_samples=num_samples, **settings)


def build(kind, candidates=FIVE, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, candidates=candidates, **{'feature_dim': C, **kwargs}))


def scores(rows=12, seed=0, columns=C):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def labels(rows=12, seed=0, classes=C):
    return torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(seed))


def values_of(candidates, pred, target):
    """Sum over the elements of each sample under each candidate, ``(N, n)``."""
    values = [MODELS.build(config)(pred, target, reduction_override='none') for config in candidates]
    return torch.stack([value.reshape(len(pred), -1).sum(1) for value in values], dim=1)


class AlwaysTheFirst(Sampler):
    """One-hot, with the gradient of the probabilities."""

    def forward(self, log_p, one_for_all=False):
        p = log_p.exp()
        first = torch.zeros_like(p)
        first[:, 0] = 1
        return first + p - p.detach()

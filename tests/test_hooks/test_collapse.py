"""Which weights count as collapsed, and what is said about it."""

import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.hooks import diagnose

PARTS = ('coord', 'cls', 'obj', 'noobj')
BASE = dict(zip(PARTS, (5.0, 1.0, 1.0, 0.5)))
SLF = dict(type='SLFBalancer', base_weights=BASE, feature_dim=3)


@pytest.mark.parametrize(
    ('weights', 'weighted', 'collapsed'),
    [
        ((5, 1, 1, 0.5), (1, 1, 1, 1), ()),
        ((5, 1, 1, 0.5), (1, 1, 1, 1e-4), ()),  # a small part with its full weight
        ((5.4, 1, 1, 0.1), (1, 1, 1, 1e-3), ()),  # 20 % of its weight
        ((5.49, 1, 1, 0.005), (1, 1, 1, 1e-3), ('noobj',)),  # 1 % of its weight
        ((5.49, 1, 1, 0.005), (1, 1, 1, 1), ()),  # 1 % of its weight, but 25 % of the objective: the part is large
        ((0, 0, 7.5, 0), (0, 0, 1, 0), ('coord', 'cls', 'noobj')),
        ((float('nan'), 1, 1, 0.5), (1, 1, 1, 1), ()),  # another hook's subject
        ((0, 0, 0, 0), (0, 0, 0, 0), ('coord', 'cls', 'obj', 'noobj')),
    ],
)
def test_collapsed_parts(weights, weighted, collapsed):
    found = diagnose(BASE, dict(zip(PARTS, weights)), dict(zip(PARTS, weighted)))
    assert found.collapsed == collapsed


def test_corner_of_many_even_parts():
    # b has 1.5 % of the weight, 3 % of what its base weight gives it: not collapsed by itself, but a has all the rest
    found = diagnose(dict(a=1, b=1), dict(a=1.97, b=0.03), dict(a=1.97, b=0.03))
    assert found.collapsed == ('b',)
    # a base weight that is a corner already is meant so
    assert diagnose(dict(a=99, b=1), dict(a=99, b=1), dict(a=99, b=1)).collapsed == ()


def test_part_without_base_weight_is_not_missed():
    assert diagnose(dict(a=1, b=0), dict(a=1, b=0), dict(a=1, b=0)).collapsed == ()


def test_text_names_parts_and_amounts():
    weights, weighted = dict(coord=0.05, cls=1, obj=6, noobj=0.45), dict(coord=0.001, cls=1, obj=1, noobj=1)
    # 0.05 / 7.5 of the weight instead of 5 / 7.5: 1 %. obj has 6 / 7.5 instead of 1 / 7.5.
    assert str(diagnose(BASE, weights, weighted)) == (
        'collapsed loss weights: coord (1.0 % of the base weights); '
        'obj has 80.0 % of the total weight, 13.3 % by its base weight'
    )
    assert str(diagnose(BASE, BASE, BASE)) == 'no collapsed loss weight'


@pytest.mark.parametrize(
    ('config', 'texts'),
    [
        (dict(SLF, kl_weight=0), ['the signal DeltaAP', 'kl_weight=0, prior_share=0', 'Raise kl_weight', 'lr_mult']),
        (dict(SLF, signal=dict(type='LossRate'), prior_share=0.2), ['the signal LossRate', 'prior_share=0.2']),
        (dict(type='PaperSLFBalancer', parts=PARTS, feature_dim=3), ['Algorithm 1', 'SLFBalancer']),
        (dict(type='ScheduledBalancer', schedules=dict(coord=0.0), base_weights=BASE), ['schedules']),
        (dict(type='FAMOBalancer', base_weights=BASE), ['FAMOBalancer', 'StaticBalancer']),
    ],
)
def test_advice_names_the_settings_of_the_balancer(config, texts):
    torch.manual_seed(0)
    found = MODELS.build(config).collapse_advice()
    assert all(text in found for text in texts), found

"""An arm's balancer gets into any config: of a head, of a BalancedDetector, and of a plain detector."""

import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from slf_mmdet.comparison import parse_arm
from slf_mmdet.comparison.balancer_arms import base_weights
from slf_mmdet.comparison.record import network_state

from ..helpers import CONFIGS

BALANCED = CONFIGS / 'balanced' / 'slf_retinanet_r50_fpn_1x_coco.py'


def plain_config():
    cfg = Config.fromstring("_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'", '.py')
    cfg.model.backbone = dict(type='ResNet', depth=18, base_channels=8)
    cfg.model.neck.in_channels = [8, 16, 32, 64]
    return cfg


def test_a_plain_detector_is_balanced():
    cfg = plain_config()
    before = cfg.to_dict()
    wrapped = parse_arm("slf(sampler=dict(type='Softmax'))").apply(cfg).to_dict()
    assert cfg.to_dict() == before
    assert wrapped.pop('model') == dict(
        before.pop('model'),
        type='BalancedDetector',
        detector_type='RetinaNet',
        loss_balancer=dict(type='SLFBalancer', sampler=dict(type='Softmax')),
    )
    assert wrapped == before


def test_the_config_as_it_is_stays_plain():
    cfg = plain_config()
    assert parse_arm('config').apply(cfg).to_dict() == cfg.to_dict()


def test_a_balanced_detector_keeps_what_it_says_of_its_loss():
    cfg = Config.fromfile(BALANCED)
    cfg.model.loss_balancer.update(base_weights=dict(box=2.0), kl_weight=7)
    changed = parse_arm('static').apply(cfg).to_dict()['model']
    expected = cfg.to_dict()['model']
    expected['loss_balancer'] = dict(
        type='StaticBalancer', parts=dict(cls='loss_cls', box='loss_bbox'), base_weights=dict(box=2.0)
    )
    assert changed == expected


def test_an_arm_may_name_the_parts():
    arm = parse_arm("slf(parts=dict(all='loss_.*'))")
    assert arm.apply(plain_config()).model.loss_balancer.parts == dict(all='loss_.*')
    assert arm.apply(Config.fromfile(BALANCED)).model.loss_balancer.parts == dict(all='loss_.*')


def test_base_weights_of_a_plain_detector():
    assert base_weights(plain_config()) == dict(cls=1.0, bbox=1.0)


def test_balanced_and_plain_detectors_can_start_from_one_network():
    cfg = plain_config()
    states = []
    for arm in ('config', 'slf', 'static'):
        torch.manual_seed(0)
        states.append(network_state(MODELS.build(parse_arm(arm).apply(cfg).model)))
    for state in states[1:]:
        assert list(state) == list(states[0])
        assert all(torch.equal(value, states[0][key]) for key, value in state.items())

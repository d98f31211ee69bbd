"""What a detector's loss consists of, without data."""

import random

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict

from slf_mmdet.models.detectors.probe import pooled, probe_detector

from .tiny_detectors import FILES, batch, build, tiny_model, unbalanced


@pytest.mark.parametrize('name', FILES)
def test_finds_the_losses_of_a_training_step(name, digits):
    cfg = unbalanced(tiny_model(name))
    if name == 'ssd':
        cfg.bbox_head.anchor_generator.input_size = 128
    before = cfg.copy()
    model = build(cfg).train()
    losses = model(**model.data_preprocessor(batch(digits), training=True), mode='loss')
    assert probe_detector(cfg).loss_keys == tuple(key for key in losses if 'loss' in key)
    assert cfg == before


def test_leaves_random_state_alone_and_does_not_depend_on_it():
    def state():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    cfg = unbalanced(tiny_model('faster_rcnn'))
    for seed in (0, 1):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        expected = state()
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        probe = probe_detector(cfg)
        assert state() == expected
        assert probe.loss_keys == ('loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox')


@pytest.mark.parametrize(('features', 'dim'), [('backbone', 64), ('neck', 16), ('backbone.layer1', 8), (None, None)])
def test_width_of_a_submodule(features, dim):
    assert probe_detector(unbalanced(tiny_model('retinanet')), features).feature_dim == dim


def test_an_unknown_submodule():
    with pytest.raises(AttributeError, match="RetinaNet has no submodule 'bakbone'; its children are .*'backbone'"):
        probe_detector(unbalanced(tiny_model('retinanet')), 'bakbone')


def test_a_detector_that_takes_no_such_images():
    cfg = unbalanced(tiny_model('retinanet'))
    cfg.backbone.in_channels = 5
    with pytest.raises(RuntimeError, match='RetinaNet cannot compute the loss of random images.*to have 5 channels'):
        probe_detector(ConfigDict(cfg))


def test_pooling_by_hand():
    image = torch.tensor([[[[1.0, 3.0]], [[2.0, 6.0]]]], requires_grad=True)  # (1, 2, 1, 2)
    tokens = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])  # (1, 2 tokens, 2)
    for output in (image, (torch.zeros(1, 1, 1, 1), image), tokens, torch.tensor([[2.0, 4.0]])):
        assert pooled(output).tolist() == [[2.0, 4.0]]
        assert pooled(output).requires_grad == any(part is image for part in (output, output[-1]))
    with pytest.raises(TypeError, match=r'found \(3,\)'):
        pooled(torch.zeros(3))
    with pytest.raises(TypeError, match='found dict'):
        pooled({})

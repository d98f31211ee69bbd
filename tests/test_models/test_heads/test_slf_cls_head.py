"""The classification head: its loss, its predictions, and the backbones it goes with."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.losses import AdaptiveRobustLoss, large_margin_logits

C = 3


class Sample(SimpleNamespace):
    """What the head asks of mmpretrain's DataSample."""

    def __contains__(self, key):
        return hasattr(self, key)

    def set_pred_score(self, score):
        self.pred_score = score
        return self

    def set_pred_label(self, label):
        self.pred_label = label
        return self


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='SLFClsHead', num_classes=C, in_channels=8, **kwargs))


def samples(labels=(0, 2, 1, 1)):
    return [Sample(gt_label=torch.tensor([label])) for label in labels]


FEATURES = (torch.zeros(4, 2, 9, 9), torch.rand(4, 8, 5, 5, generator=torch.Generator().manual_seed(0)))


def test_default_is_cross_entropy_of_a_linear_layer_on_pooled_features():
    head = build()
    logits = head.classifier(FEATURES[-1].mean((2, 3)))
    torch.testing.assert_close(head(FEATURES), logits)
    out = head.loss(FEATURES, samples())
    torch.testing.assert_close(out['loss'], F.cross_entropy(logits, torch.tensor([0, 2, 1, 1])))
    right = (logits.argmax(1) == torch.tensor([0, 2, 1, 1])).float().mean() * 100
    torch.testing.assert_close(out['accuracy'].squeeze(), right)


def test_hidden_layers_and_feature_vectors():
    head = build(hidden_channels=(6, 5), act_cfg=dict(type='Tanh'))
    vector = torch.rand(4, 8)
    first, _, second, _ = head.hidden
    expected = head.classifier(second(first(vector).tanh()).tanh())
    torch.testing.assert_close(head(vector), expected)
    torch.testing.assert_close(head((vector,)), expected)


def test_margin_counts_in_training_only():
    head = build(classifier=dict(type='LargeMarginLinear', margin=3))
    vector, labels = FEATURES[-1].mean((2, 3)), torch.tensor([0, 2, 1, 1])
    with_margin = large_margin_logits(vector, head.classifier.weight, labels, margin=3)
    torch.testing.assert_close(head.loss(FEATURES, samples())['loss'], F.cross_entropy(with_margin, labels))
    torch.testing.assert_close(head(FEATURES), F.linear(vector, head.classifier.weight))


@pytest.mark.parametrize('mixture', ['StochasticLoss', 'PaperStochasticLoss'])
def test_mixture_of_candidates_trains_its_decision_network(mixture):
    candidates = [dict(type='ClassMSELoss'), dict(type='CrossEntropyLoss')]
    head = build(loss=dict(type=mixture, candidates=candidates, feature_dim=C))
    head.loss(FEATURES, samples())['loss'].backward()
    assert head.loss_module.decision_network.output.bias.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ('loss', 'key'),
    [
        (dict(type='StochasticLoss', candidates=[dict(type='ClassMSELoss')]), 'feature_dim'),
        (dict(type='PaperStochasticLoss', candidates=[dict(type='ClassMSELoss')]), 'feature_dim'),
        (dict(type='mmdet.AdaptiveRobustLoss', activation='softmax'), 'num_channels'),
        (dict(type=AdaptiveRobustLoss, activation='softmax'), 'num_channels'),
    ],
    ids=['StochasticLoss', 'PaperStochasticLoss', 'AdaptiveRobustLoss', 'a class'],
)
def test_fills_in_the_size_that_a_loss_asks_for(loss, key):
    assert getattr(build(loss=loss).loss_module, key) == C
    assert build(loss=loss).loss(FEATURES, samples())['loss'].isfinite()
    assert getattr(build(loss={**loss, key: 7}).loss_module, key) == 7
    assert key not in loss


def test_an_unknown_loss_is_refused_as_everywhere():
    with pytest.raises(KeyError, match='CrossEntropyLos is not in the .*model registry'):
        build(loss=dict(type='CrossEntropyLos'))


def test_soft_targets():
    head = build()
    soft = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    expected = F.cross_entropy(head(FEATURES), soft)
    torch.testing.assert_close(head.loss(FEATURES, [Sample(gt_score=row) for row in soft])['loss'], expected)


@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_predictions(use_sigmoid):
    head = build(loss=dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid))
    logits = head(FEATURES)
    results = head.predict(FEATURES, samples())
    scores = logits.sigmoid() if use_sigmoid else logits.softmax(1)
    torch.testing.assert_close(torch.stack([sample.pred_score for sample in results]), scores)
    assert [sample.pred_label.tolist() for sample in results] == logits.argmax(1, keepdim=True).tolist()


def test_wrong_number_of_channels():
    with pytest.raises(ValueError, match='outputs 2 channels, but in_channels is 8. Set in_channels=2'):
        build()(FEATURES[:1])


def test_on_a_backbone_of_ours():
    backbone = MODELS.build(dict(type='YOLOV1Darknet', arch='nano'))
    feats = backbone(torch.rand(1, 3, 64, 64))
    head = MODELS.build(dict(type='SLFClsHead', num_classes=C, in_channels=feats[-1].shape[1]))
    assert head(feats).shape == (1, C)

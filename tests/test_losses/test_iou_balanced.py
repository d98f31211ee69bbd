"""IoU-balanced losses: hand-computed weights, kept sums, the plain losses at exponent 0, and use in mmdet's heads."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.losses import iou_balanced_cls, iou_balanced_smooth_l1


def test_cls_by_hand():
    # Two positives of logit 0 (loss log 2 each) with IoU 1 and 0.25, eta 0.5: factors 1 and 0.5, whose mean loss is
    # kept by 2 / 1.5: weights 4/3 and 2/3. The background stays.
    loss = iou_balanced_cls(torch.zeros(3, 1), torch.tensor([0, 0, 1]), torch.tensor([1.0, 0.25, 0.9]), eta=0.5)
    expected = torch.tensor([[4 / 3], [2 / 3], [1.0]]) * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(loss, expected)


def test_box_by_hand():
    # L1 errors of 1 and 1 in every coordinate, IoU 1/2 and 1/4, delta 1: weights 4/3 and 2/3
    loss = iou_balanced_smooth_l1(torch.ones(2, 4), torch.zeros(2, 4), torch.tensor([0.5, 0.25]), delta=1.0, beta=0.0)
    torch.testing.assert_close(loss, torch.tensor([[4 / 3], [2 / 3]]).expand(2, 4))


@pytest.mark.parametrize('use_sigmoid', [True, False])
def test_exponent_zero_is_the_plain_loss(use_sigmoid):
    torch.manual_seed(0)
    pred, labels, iou = torch.randn(6, 4), torch.tensor([0, 1, 3, 2, 3, 0]), torch.rand(6)
    if use_sigmoid:
        expected = F.binary_cross_entropy_with_logits(pred, F.one_hot(labels, 4).float(), reduction='none')
    else:
        expected = F.cross_entropy(pred, labels, reduction='none')
    torch.testing.assert_close(iou_balanced_cls(pred, labels, iou, 0.0, use_sigmoid), expected)
    boxes, others = torch.rand(6, 4), torch.rand(6, 4)
    expected = F.smooth_l1_loss(boxes, others, reduction='none')
    torch.testing.assert_close(iou_balanced_smooth_l1(boxes, others, iou, delta=0.0), expected)


@pytest.mark.parametrize('use_sigmoid', [True, False])
def test_positives_together_keep_their_weighted_loss_and_better_boxes_gain(use_sigmoid):
    torch.manual_seed(0)
    pred, labels, iou = torch.randn(50, 4), torch.randint(4, (50,)), torch.rand(50)
    weight = torch.randint(2, (50,)).float()
    plain = iou_balanced_cls(pred, labels, iou, 0.0, use_sigmoid)
    balanced = iou_balanced_cls(pred, labels, iou, 1.5, use_sigmoid, weight)
    summed = lambda loss: (loss.view(50, -1).sum(1) * weight).sum()  # noqa: E731
    torch.testing.assert_close(summed(balanced), summed(plain))
    is_positive = F.one_hot(labels, 4).bool() if use_sigmoid else labels < 3
    ratio = (balanced / plain)[is_positive]
    best = iou.unsqueeze(-1).expand_as(is_positive)[is_positive] if use_sigmoid else iou[is_positive]
    assert (ratio[best.argsort()].diff() >= 0).all()


def test_no_positive_or_no_overlap_at_all_leaves_the_plain_loss():
    pred = torch.randn(3, 2)
    background = torch.full((3,), 2)
    plain = F.binary_cross_entropy_with_logits(pred, torch.zeros(3, 2), reduction='none')
    torch.testing.assert_close(iou_balanced_cls(pred, background, torch.rand(3)), plain)
    loss = iou_balanced_smooth_l1(torch.ones(2, 4), torch.zeros(2, 4), torch.zeros(2), beta=0.0)
    torch.testing.assert_close(loss, torch.ones(2, 4))


def test_samples_of_weight_zero_have_no_part_in_the_normalisation():
    # Anchor heads hand over all anchors: those without an object have the target 0, a huge error and weight 0.
    loss = MODELS.build(dict(type='IoUBalancedSmoothL1Loss', delta=1.0, beta=0.0))
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 5.0, 10.0], [500.0, 500.0, 900.0, 900.0]])
    target = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 0.0, 0.0]])
    weight = torch.tensor([1.0, 1.0, 0.0])
    for weights in (weight, weight[:, None].expand(3, 4)):
        assert loss(boxes, target, weights, avg_factor=1).item() == pytest.approx(5.0)


def test_weights_are_constants_of_the_gradient():
    pred = torch.tensor([[0.0, 0.0, 10.0, 8.0]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[0.0, 0.0, 10.0, 10.0]], dtype=torch.float64)
    loss = MODELS.build(dict(type='IoUBalancedSmoothL1Loss', beta=0.0, reduction='sum'))
    (grad,) = torch.autograd.grad(loss(pred, target), pred)
    assert grad.tolist() == [[0, 0, 0, -1]]  # of one box the weight is 1


def test_gradient_of_the_classification():
    pred = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    iou = torch.zeros(4, dtype=torch.float64)  # the factor stays 1: with others it is a constant that gradcheck moves
    labels = torch.tensor([0, 3, 1, 2])
    assert torch.autograd.gradcheck(lambda x: iou_balanced_cls(x, labels, iou), pred.requires_grad_())


def test_target_without_iou():
    with pytest.raises(ValueError, match=r'pair \(labels, IoU\), found Tensor.*GFLHead'):
        MODELS.build(dict(type='IoUBalancedClsLoss'))(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='IoUBalancedClsLoss', eta=-1), 'eta must be >= 0, found -1'),
        (dict(type='IoUBalancedSmoothL1Loss', delta=-1), 'found -1 and 1.0'),
    ],
)
def test_wrong_settings(config, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)

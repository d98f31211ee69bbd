"""IoU-balanced losses: hand-computed weights, kept sums, the plain losses at exponent 0, and use in mmdet's heads."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from torchvision.ops import sigmoid_focal_loss

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


CODER = dict(type='DeltaXYWHBBoxCoder', target_means=[0.1, 0.0, -0.2, 0.0], target_stds=[0.1, 0.1, 0.2, 0.3])


def anchors_and_boxes(rows=20):
    """Anchors of any place and size, and predictions and targets encoded by them."""
    generator = torch.Generator().manual_seed(0)
    corner, size = 500 * torch.rand(rows, 2, generator=generator), 5 + 200 * torch.rand(rows, 2, generator=generator)
    anchors = torch.cat([corner, corner + size], dim=1).double()
    return anchors, *torch.randn(2, rows, 4, generator=generator, dtype=torch.float64)


def box_iou(a, b):
    """IoU of two boxes (x1, y1, x2, y2)."""
    w, h = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    if w <= 0 or h <= 0:
        return 0.0
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return w * h / (area[0] + area[1] - w * h)


def test_encoded_boxes_have_the_iou_of_those_of_any_anchor():
    anchors, pred, target = anchors_and_boxes()
    coder = TASK_UTILS.build(CODER)
    iou = [box_iou(*pair) for pair in zip(coder.decode(anchors, pred).tolist(), coder.decode(anchors, target).tolist())]
    assert sum(value > 0 for value in iou) > 10
    for normalize in (True, False):
        config = dict(type='IoUBalancedSmoothL1Loss', beta=0.11, bbox_coder=CODER, normalize=normalize)
        found = MODELS.build(dict(config, reduction='none'))(pred, target)
        expected = iou_balanced_smooth_l1(pred, target, torch.tensor(iou), 1.5, 0.11, normalize=normalize)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_box_loss_of_the_authors_is_a_plain_loop():
    """Smooth L1 of encoded boxes, times IoU^delta as a constant, times the weight; no normalisation."""
    anchors, pred, target = anchors_and_boxes()
    coder, weight = TASK_UTILS.build(CODER), torch.tensor([1.0, 0.0, 1.0, 0.5] * 5, dtype=torch.float64)
    boxes, objects = coder.decode(anchors, pred).tolist(), coder.decode(anchors, target).tolist()
    total, slopes = 0.0, torch.zeros_like(pred)
    for row in range(len(pred)):
        factor = box_iou(boxes[row], objects[row]) ** 1.5 * weight[row].item()
        for k in range(4):
            error = (pred[row, k] - target[row, k]).item()
            total += factor * (error**2 / 2 / 0.11 if abs(error) < 0.11 else abs(error) - 0.11 / 2)
            slopes[row, k] = 3.049 * factor * max(-1, min(1, error / 0.11)) / 7
    loss = MODELS.build(
        dict(type='IoUBalancedSmoothL1Loss', beta=0.11, bbox_coder=CODER, normalize=False, loss_weight=3.049)
    )
    pred.requires_grad_()
    value = loss(pred, target, weight[:, None].expand(-1, 4), avg_factor=7.0)
    assert value.item() == pytest.approx(3.049 * total / 7, rel=1e-5)
    torch.testing.assert_close(torch.autograd.grad(value, pred)[0], slopes, rtol=1e-5, atol=1e-8)


def test_without_normalisation_no_overlap_is_no_loss():
    config = dict(type='IoUBalancedSmoothL1Loss', delta=1.0, beta=0.0, reduction='none')
    boxes, target = (
        torch.tensor([[0.0, 0.0, 4.0, 4.0]] * 2),
        torch.tensor([[0.0, 0.0, 4.0, 8.0], [9.0, 9.0, 12.0, 12.0]]),
    )
    ours, theirs = (MODELS.build(dict(config, normalize=normalize))(boxes, target) for normalize in (True, False))
    assert theirs.sum(1).tolist() == [4 * 0.5, 0]
    # Ours has the sum of L1: 4 + 34
    assert ours.sum(1).tolist() == pytest.approx([38.0, 0])


def test_focal_variant_is_a_plain_loop():
    """Focal loss, positives times IoU^eta and normalised to keep their sum, with weights of samples."""
    torch.manual_seed(0)
    pred, labels, iou = torch.randn(9, 3), torch.tensor([0, 1, 3, 2, 3, 3, 0, 1, 3]), torch.rand(9)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    expected, before, after = 0.0, 0.0, 0.0
    for row in range(9):
        for label in range(3):
            p = 1 / (1 + math.exp(-pred[row, label].item()))
            if label == labels[row]:
                focal = -weight[row].item() * 0.25 * (1 - p) ** 2 * math.log(p)
                before, after = before + focal, after + focal * iou[row].item() ** 1.5
            else:
                expected -= weight[row].item() * 0.75 * p**2 * math.log(1 - p)
    expected += after * (before / after)  # the sum of the positives is kept ...
    loss = MODELS.build(dict(type='IoUBalancedClsLoss', gamma=2.0, alpha=0.25))
    assert loss(pred, (labels, iou), weight, avg_factor=2.0).item() == pytest.approx(expected / 2, rel=1e-5)
    # ... and distributed by IoU^eta: the loss of the first positive
    p = 1 / (1 + math.exp(-pred[0, 0].item()))
    first = -0.25 * (1 - p) ** 2 * math.log(p) * iou[0].item() ** 1.5 * before / after
    found = loss(pred, (labels, iou), weight, reduction_override='none')
    assert found[0, 0].item() == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
@pytest.mark.parametrize('alpha', [None, 0.25])
def test_focal_variant_without_exponent_is_that_of_torchvision(gamma, alpha):
    pred = torch.cat([torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.full((1, 3), 60.0)])
    pred.requires_grad_()
    labels = torch.tensor([0, 1, 3, 2, 3, 0])
    loss = iou_balanced_cls(pred, labels, torch.rand(6), eta=0.0, gamma=gamma, alpha=alpha)
    y = F.one_hot(labels, 4)[:, :3].float()
    expected = sigmoid_focal_loss(pred, y, alpha=-1 if alpha is None else alpha, gamma=gamma)
    torch.testing.assert_close(loss, expected)
    assert torch.autograd.grad(loss.sum(), pred)[0].isfinite().all()


def test_encoded_boxes_without_a_coder_are_an_error():
    loss = MODELS.build(dict(type='IoUBalancedSmoothL1Loss'))
    pred, target = torch.zeros(3, 4), torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.1, 0.2, -0.3, 0.4], [0.0, 0.0, 1.0, 1.0]])
    with pytest.raises(
        ValueError, match=r'x1, y1, x2, y2\), found \[0.1, 0.2, -0.3, 0.4\]. For encoded boxes set reg_dec'
    ):
        loss(pred, target, torch.tensor([0.0, 1.0, 1.0])[:, None].expand(3, 4))
    assert loss(pred, target, torch.tensor([1.0, 0.0, 1.0])).isfinite()  # of weight 0, as anchors without an object


def test_target_without_iou():
    with pytest.raises(ValueError, match=r'pair \(labels, IoU\), found Tensor.*GFLHead'):
        MODELS.build(dict(type='IoUBalancedClsLoss'))(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='IoUBalancedClsLoss', eta=-1), 'eta must be >= 0, found -1'),
        (dict(type='IoUBalancedSmoothL1Loss', delta=-1), 'found -1 and 1.0'),
        (dict(type='IoUBalancedClsLoss', gamma=-1), 'gamma must be >= 0, found -1'),
        (dict(type='IoUBalancedClsLoss', alpha=2), r'alpha must be None or in \[0, 1\], found 2'),
        (dict(type='IoUBalancedClsLoss', gamma=2, use_sigmoid=False), 'use_sigmoid must be True for the focal loss'),
        (
            dict(type='IoUBalancedSmoothL1Loss', bbox_coder=dict(type='TBLRBBoxCoder')),
            'bbox_coder must be None or .* DeltaXYWHBBoxCoder.*TBLRBBoxCoder.*set reg_decoded_bbox=True',
        ),
        (
            dict(type='IoUBalancedSmoothL1Loss', bbox_coder=dict(type='DeltaXYWHBBoxCoder', add_ctr_clamp=True)),
            'without add_ctr_clamp, found',
        ),
    ],
)
def test_wrong_settings(config, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)

"""The differentiable average precision against a literal loop, the ordinary one, and its limits."""

import math

import pytest
import torch
from torchvision.ops import box_iou

from slf_mmdet.losses import soft_average_precision
from slf_mmdet.losses.soft_ap import best_detections


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def random_problem(seed=0, num_images=2, num_boxes=6, num_gts=3, num_classes=2):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(num_images, num_gts, 2, generator=generator) * 0.5
    gt_boxes = torch.cat([corner, corner + 0.2 + 0.2 * torch.rand(num_images, num_gts, 2, generator=generator)], -1)
    noise = 0.05 * torch.randn(num_images, num_boxes, 4, generator=generator)
    boxes = gt_boxes.repeat(1, math.ceil(num_boxes / num_gts), 1)[:, :num_boxes] + noise
    scores = torch.rand(num_images, num_boxes, num_classes, generator=generator)
    gt_labels = torch.randint(num_classes, (num_images, num_gts), generator=generator)
    gt_image = torch.arange(num_images).repeat_interleave(num_gts)
    kept = torch.rand(num_images * num_gts, generator=generator) < 0.8
    return boxes, scores, gt_boxes.flatten(0, 1)[kept], gt_labels.flatten()[kept], gt_image[kept]


def literal(boxes, scores, gt_boxes, gt_labels, gt_image, num_candidates, score_tau, iou_thr, iou_tau):
    pairs = []
    for image in range(scores.shape[0]):
        overlaps = box_iou(boxes[image], gt_boxes).tolist()
        for box in range(scores.shape[1]):
            for label in range(scores.shape[2]):
                mine = [
                    overlaps[box][k] for k in range(len(gt_labels)) if gt_image[k] == image and gt_labels[k] == label
                ]
                iou = max(mine, default=0.0)
                hit = sigmoid((iou - iou_thr) / iou_tau) if iou > 0 else 0.0
                pairs.append((scores[image, box, label].item(), hit))
    pairs = sorted(pairs, reverse=True)[:num_candidates]
    total = 0.0
    for score, hit in pairs:
        before = [sigmoid((other - score) / score_tau) for other, _ in pairs]
        total += hit * sum(b * h for b, (_, h) in zip(before, pairs)) / sum(before)
    return total / len(gt_boxes)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('num_candidates', [5, 400])
def test_equals_a_literal_loop(seed, num_candidates):
    problem = random_problem(seed)
    settings = (num_candidates, 0.1, 0.5, 0.07)
    boxes, scores, *objects = problem
    found = soft_average_precision(*best_detections(boxes, scores), *objects, *settings).item()
    assert found == pytest.approx(literal(*problem, *settings), rel=1e-5)


def test_hard_limit_is_the_average_precision():
    """Three hits ranked 1, 3 and 4 of 5, four objects: (1/1 + 2/3 + 3/4) / 4; a tie with itself counts half."""
    gt_boxes = torch.tensor([[0.0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1], [6, 0, 7, 1]])
    boxes = torch.tensor([[[0.0, 0, 1, 1], [8, 0, 9, 1], [2, 0, 3, 1], [4, 0, 5, 1], [8, 8, 9, 9]]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]).view(1, 5, 1)
    labels = image = torch.zeros(4, dtype=torch.long)
    found = soft_average_precision(
        *best_detections(boxes, scores), gt_boxes, labels, image, score_tau=1e-4, iou_tau=1e-4
    )
    assert found.item() == pytest.approx((0.5 / 0.5 + 1.5 / 2.5 + 2.5 / 3.5) / 4, rel=1e-5)


def test_gradient_raises_a_correct_detection_and_lowers_a_wrong_one_before_it():
    boxes = torch.tensor([[[0.0, 0, 1, 1], [5, 5, 6, 6]]], requires_grad=True)
    scores = torch.tensor([[[0.5], [0.55]]], requires_grad=True)
    gt_boxes = torch.tensor([[0.0, 0, 1, 1.7]])
    labels = image = torch.zeros(1, dtype=torch.long)
    soft_average_precision(*best_detections(boxes, scores), gt_boxes, labels, image).backward()
    right, wrong = scores.grad.flatten().tolist()
    assert right > 0 > wrong
    assert boxes.grad[0, 0, 3] > 0  # the box grows towards the object
    assert boxes.grad[0, 1].abs().sum() == 0


def test_without_objects_or_overlap_it_is_0_and_finite():
    boxes, scores, *objects = random_problem()
    boxes.requires_grad_()
    for gt_boxes, gt_labels, gt_image in ([some[:0] for some in objects], [objects[0] + 9, *objects[1:]]):
        value = soft_average_precision(*best_detections(boxes, scores), gt_boxes, gt_labels, gt_image)
        value.backward()
        assert value.item() == 0 and boxes.grad.isfinite().all()


def test_gradcheck():
    boxes, scores, *objects = random_problem(3)
    objects[0] = objects[0].double()
    arguments = [tensor.double().requires_grad_() for tensor in (boxes, scores)]

    def value(boxes, scores):
        return soft_average_precision(*best_detections(boxes, scores), *objects, iou_tau=0.2)

    assert torch.autograd.gradcheck(value, arguments)

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
    """Of detections ``(N, M)``, one class after the other."""
    found = sorted(
        (
            (scores[image, box, label].item(), label, image, box)
            for image in range(scores.shape[0])
            for box in range(scores.shape[1])
            for label in range(scores.shape[2])
        ),
        reverse=True,
    )[:num_candidates]
    kept = []
    for detection in found:  # non-maximum suppression
        _, label, image, box = detection
        rivals = [other[3] for other in kept if other[1:3] == (label, image)]
        if all(box_iou(boxes[image, [box]], boxes[image, [rival]]).item() <= 0.5 for rival in rivals):
            kept.append(detection)

    precisions = []
    for label in sorted(set(gt_labels.tolist())):
        mine = [detection for detection in kept if detection[1] == label]
        objects = [index for index, other in enumerate(gt_labels.tolist()) if other == label]
        hits = [0.0] * len(mine)
        claims = {index: [] for index in objects}
        for rank, (_, _, image, box) in enumerate(mine):
            ious = {
                index: box_iou(boxes[image, [box]], gt_boxes[[index]]).item()
                for index in objects
                if gt_image[index] == image
            }
            nearest = max(ious, key=ious.get, default=None)
            if nearest is not None and ious[nearest] > 0:
                claims[nearest].append((rank, ious[nearest]))
        for claimants in claims.values():
            right = [claim for claim in claimants if claim[1] >= iou_thr]
            if claimants:
                rank, iou = right[0] if right else max(claimants, key=lambda claim: claim[1])
                hits[rank] = sigmoid((iou - iou_thr) / iou_tau)
        total = 0.0
        for i, (score, *_) in enumerate(mine):
            before = [
                1.0 if i == j else sigmoid((math.log(other) - math.log(score)) / score_tau)
                for j, (other, *_) in enumerate(mine)
            ]
            total += hits[i] * sum(b * hit for b, hit in zip(before, hits)) / sum(before)
        precisions.append(total / len(objects))
    return sum(precisions) / len(precisions)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('num_candidates', [8, 400])
def test_equals_a_literal_loop(seed, num_candidates):
    boxes, scores, *objects = random_problem(seed, num_boxes=9)
    settings = (0.3, 0.6, 0.07)
    found = soft_average_precision(*best_detections(boxes, scores, num_candidates), *objects, 400, *settings).item()
    assert 0 < found == pytest.approx(literal(boxes, scores, *objects, num_candidates, *settings), rel=1e-5)


def test_hard_limit_is_the_average_precision():
    """Class 0: hits ranked 1, 3 and 4 of 5, four objects. Class 1: its only object is found first of two."""
    gt_boxes = torch.tensor([[0.0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1], [6, 0, 7, 1], [0, 4, 1, 5]])
    boxes = torch.tensor([[0.0, 0, 1, 1], [8, 0, 9, 1], [2, 0, 3, 1], [4, 0, 5, 1], [8, 8, 9, 9], [0, 4, 1, 5]])
    boxes = torch.cat([boxes, boxes[:1]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.95, 0.85])
    labels, gt_labels = torch.tensor([0, 0, 0, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 0, 1])
    image, gt_image = torch.zeros(7, dtype=torch.long), torch.zeros(5, dtype=torch.long)
    found = soft_average_precision(
        boxes, scores, labels, image, gt_boxes, gt_labels, gt_image, score_tau=1e-4, iou_tau=1e-4
    )
    assert found.item() == pytest.approx(((1 / 1 + 2 / 3 + 3 / 4) / 4 + 1) / 2, rel=1e-5)


@pytest.mark.parametrize('factor', [1e-3, 0.1, 7.0])
def test_a_factor_on_all_scores_changes_nothing(factor):
    boxes, scores, *objects = random_problem()
    scores.requires_grad_()
    before = soft_average_precision(*best_detections(boxes, scores), *objects)
    after = soft_average_precision(*best_detections(boxes, factor * scores), *objects)
    assert after.item() == pytest.approx(before.item(), rel=1e-5)
    before.backward()
    assert (scores.grad * scores).sum().item() == pytest.approx(0, abs=1e-6)
    assert scores.grad.abs().max() > 1e-3


def test_an_object_that_is_found_twice_counts_once():
    """The two overlap each other too little for a suppression, and the object by more than half."""
    gt_boxes = torch.tensor([[0.0, 0, 1, 1], [5, 5, 6, 6]])
    boxes = torch.tensor([[[0.0, 0, 1, 0.66], [0, 0.34, 1, 1], [5, 5, 6, 6]]])
    scores = torch.tensor([0.9, 0.8, 0.7]).view(1, 3, 1)
    labels = image = torch.zeros(2, dtype=torch.long)
    detections = best_detections(boxes, scores)
    assert len(detections[1]) == 3
    found = soft_average_precision(*detections, gt_boxes, labels, image, score_tau=1e-4, iou_tau=1e-4)
    assert found.item() == pytest.approx((1 + 2 / 3) / 2, rel=1e-5)


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

"""Average precision of detections, made differentiable."""

import torch
from torch import Tensor

NUM_CANDIDATES = 400


def soft_average_precision(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    image: Tensor,
    gt_boxes: Tensor,
    gt_labels: Tensor,
    gt_image: Tensor,
    num_candidates: int = NUM_CANDIDATES,
    score_tau: float = 0.05,
    iou_thr: float = 0.5,
    iou_tau: float = 0.05,
) -> Tensor:
    r"""How high the batch's correct detections rank, with ranks and hits relaxed to sigmoids.

    As Smooth-AP (Brown et al., ECCV 2020), over the best-scored detections of all images together:

    .. math:: AP = \frac{1}{G} \sum_i q_i \frac{\sum_j q_j b_{ij}}{\sum_j b_{ij}}, \qquad
              b_{ij} = \sigma((s_j - s_i) / \tau), \qquad q_i = \sigma((IoU_i - 0.5) / \tau_{IoU})

    :math:`IoU_i` is that with the best object of the detection's class in its image, G the number of objects. Boxes
    that a non-maximum suppression would remove count, so the value may exceed 1; it is a criterion, not a metric.

    Args:
        boxes: ``(D, 4)`` x1, y1, x2, y2 in any unit.
        scores: ``(D,)``.
        labels: ``(D,)`` class index.
        image: ``(D,)`` index of the detection's image.
        gt_boxes: ``(G, 4)`` of the objects, in the same unit.
        gt_labels: ``(G,)``.
        gt_image: ``(G,)``.
        num_candidates: the number of detections, best first.
        score_tau: :math:`\tau` > 0, in units of the scores.
        iou_thr: IoU from which a detection is more right than wrong.
        iou_tau: :math:`\tau_{IoU}` > 0.

    Returns:
        A scalar >= 0, differentiable in boxes and scores; 0 without objects or detections.
    """
    if len(gt_boxes) == 0 or len(boxes) == 0:
        return 0 * (boxes.sum() + scores.sum())
    best, chosen = scores.topk(min(num_candidates, len(scores)))
    possible = (gt_image == image[chosen].unsqueeze(1)) & (gt_labels == labels[chosen].unsqueeze(1))
    iou = _iou(boxes[chosen].unsqueeze(1), gt_boxes).masked_fill(~possible, 0).amax(1)
    hit = ((iou - iou_thr) / iou_tau).sigmoid() * (iou > 0)
    before = ((best - best.unsqueeze(1)) / score_tau).sigmoid()
    precision = before @ hit / before.sum(1)
    return (hit * precision).sum() / len(gt_boxes)


def best_detections(
    boxes: Tensor, scores: Tensor, number: int = NUM_CANDIDATES
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best-scored pairs of a box and a class of all images together.

    Args:
        boxes: ``(N, M, 4)``.
        scores: ``(N, M, C)``.
        number: of pairs, at most.

    Returns:
        boxes ``(D, 4)``, scores, labels and index of the image, ``(D,)``.
    """
    num_boxes, num_classes = scores.shape[1:]
    best, pair = scores.flatten().topk(min(number, scores.numel()))
    box = pair // num_classes
    return boxes.flatten(0, 1)[box], best, pair % num_classes, box // num_boxes


def _iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of boxes (x1, y1, x2, y2) whose shapes ``(..., 4)`` broadcast; boxes turned inside out are empty."""
    low, high = torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., 2:], others[..., 2:])
    intersection = (high - low).clamp_min(0).prod(-1)
    areas = [(some[..., 2:] - some[..., :2]).clamp_min(0).prod(-1) for some in (boxes, others)]
    union = areas[0] + areas[1] - intersection
    return intersection / union.clamp_min(torch.finfo(union.dtype).eps)

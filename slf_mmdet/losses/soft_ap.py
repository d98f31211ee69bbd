"""Mean average precision of detections, made differentiable, and as one more part of a detector's loss."""

from typing import Callable, Sequence, Union

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.logging import MessageHub
from torch import Tensor, nn
from torchvision.ops import batched_nms

from ..utils.checks import is_count, is_number, is_share, require
from ..utils.state import StepCounter

NUM_CANDIDATES = 400


@MODELS.register_module()
class SoftAPLoss(nn.Module):
    r"""One minus the :func:`soft_average_precision` of a batch's detections: a part of the loss beside the others.

    The other parts judge each prediction by itself. This one compares the detections of a batch, after non-maximum
    suppression, as the metric does: their order by score, and whether they overlap an object by enough.

    .. math:: L = \sum_i w_i \ell_i + \lambda\, (1 - AP)

    ``BalancedDetector`` and ``YOLOV1Head`` take it as ``loss_ap``; a balancer does not weigh it. Early in a training
    few objects are found, so there is a warm-up. Every iteration after it predicts boxes once more.

    Args:
        loss_weight: :math:`\lambda` >= 0.
        warmup: the start of the training without it: iterations, an integer >= 0, or their share of all iterations, a
            number in (0, 1). The count is part of the checkpoint.
        iou_thr: IoU in (0, 1) from which a detection counts as a hit, or several, for the mean over them: 0.5 for
            PASCAL VOC's AP, ``[0.5, 0.55, ..., 0.95]`` for COCO's.

    Raises:
        ValueError: a setting is out of its range; in a step, ``warmup`` is a share, but no mmengine runner says of how
            many iterations.

    Examples:
        In the config of any detector of mmdet:

        >>> model = dict(
        ...     type='BalancedDetector',
        ...     detector_type='RetinaNet',
        ...     loss_balancer=dict(type='SLFBalancer'),
        ...     loss_ap=dict(type='SoftAPLoss'),
        ... )
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        warmup: Union[int, float] = 0.15,
        iou_thr: Union[float, Sequence[float]] = 0.5,
    ) -> None:
        super().__init__()
        require(is_number(loss_weight, 0), 'SoftAPLoss', 'loss_weight', 'a finite number >= 0', loss_weight)
        right = is_count(warmup, 0) or is_share(warmup)
        wanted = 'an integer >= 0, which counts iterations, or a share of them in (0, 1)'
        require(right, 'SoftAPLoss', 'warmup', wanted, warmup)
        thresholds = iou_thr if isinstance(iou_thr, (list, tuple)) else [iou_thr]
        right = len(thresholds) > 0 and all(map(is_share, thresholds))
        require(right, 'SoftAPLoss', 'iou_thr', 'a number in (0, 1), or a list of these', iou_thr)
        self.loss_weight = float(loss_weight)
        self.warmup = warmup
        self.iou_thr = tuple(thresholds)
        self.counter = StepCounter()

    def forward(self, average_precision: Callable[[], Tensor], like: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            average_precision: returns a scalar in [0, 1] with its graph. Not called in the warm-up, which is one of
                training steps.
            like: of the device that the loss is on.

        Returns:
            A scalar in [0, ``loss_weight``], 0 in the warm-up.
        """
        if self.training:
            self.counter.advance()
            if self.counter.value <= self._warmup_iters():
                return like.new_zeros(())
        with torch.autocast(like.device.type, enabled=False):
            return self.loss_weight * (1 - average_precision())

    def _warmup_iters(self) -> float:
        if isinstance(self.warmup, int):
            return self.warmup
        total = MessageHub.get_current_instance().runtime_info.get('max_iters')
        if total is None:
            raise ValueError(
                f'SoftAPLoss: warmup={self.warmup} is a share of the iterations of the training, whose number is known '
                "in mmengine's Runner only: give a number of iterations, such as warmup=500."
            )
        return self.warmup * total


def soft_average_precision(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    image: Tensor,
    gt_boxes: Tensor,
    gt_labels: Tensor,
    gt_image: Tensor,
    num_candidates: int = NUM_CANDIDATES,
    score_tau: float = 0.2,
    iou_thr: Union[float, Sequence[float]] = 0.5,
    iou_tau: float = 0.05,
) -> Tensor:
    r"""Mean average precision of the detections of a batch, with ranks and hits relaxed.

    As Smooth-AP (Brown et al., ECCV 2020), over the best-scored detections of all images together. For a class with G
    objects, and its detections i, j:

    .. math:: AP = \frac{1}{G} \sum_i q_i \frac{q_i + \sum_{j \ne i} q_j b_{ij}}{1 + \sum_{j \ne i} b_{ij}}, \qquad
              b_{ij} = \sigma\left(\frac{\log s_j - \log s_i}{\tau}\right), \qquad
              q_i = \sigma\left(\frac{IoU_i - \theta}{\tau_{IoU}}\right)

    Like the metric, it is invariant to a common factor of all scores, and an object counts once: its hit is the
    best-scored detection of its class that overlaps it by ``iou_thr``, or else the one that overlaps it most; all other
    detections have :math:`q = 0`. A measure without these two properties would reward weights that make all scores
    large. As both temperatures go to 0 it is the average precision, without the interpolation of precisions in PASCAL
    VOC.

    Args:
        boxes: ``(D, 4)`` x1, y1, x2, y2 in any unit, after non-maximum suppression.
        scores: ``(D,)`` >= 0.
        labels: ``(D,)`` class index.
        image: ``(D,)`` index of the detection's image.
        gt_boxes: ``(G, 4)`` of the objects, in the same unit.
        gt_labels: ``(G,)``.
        gt_image: ``(G,)``.
        num_candidates: the number of detections, best first.
        score_tau: :math:`\tau` > 0; scores whose logarithms differ by less are about equal.
        iou_thr: IoU at which :math:`q = 0.5`; of several the mean AP is returned.
        iou_tau: :math:`\tau_{IoU}` > 0.

    Returns:
        A scalar in [0, 1], differentiable in boxes and scores; 0 without objects or detections.
    """
    if len(gt_boxes) == 0 or len(boxes) == 0:
        return 0 * (boxes.sum() + scores.sum())
    best, chosen = scores.topk(min(num_candidates, len(scores)))
    kind = labels[chosen]
    possible = (gt_image == image[chosen].unsqueeze(1)) & (gt_labels == kind.unsqueeze(1))
    iou = bbox_overlaps(boxes[chosen], gt_boxes).masked_fill(~possible, 0)
    log_scores = best.clamp_min(torch.finfo(best.dtype).tiny).log()
    before = ((log_scores - log_scores.unsqueeze(1)) / score_tau).sigmoid()
    before = before.masked_fill(kind != kind.unsqueeze(1), 0).fill_diagonal_(1)
    classes, objects = gt_labels.unique(return_counts=True)
    share = ((kind.unsqueeze(1) == classes) / (objects * len(classes))).sum(1)  # of the mean, 0 without objects
    thresholds = iou_thr if isinstance(iou_thr, (list, tuple)) else (iou_thr,)
    total = best.new_zeros(())
    for threshold in thresholds:
        assigned = _one_each(iou.detach(), threshold)
        hits = ((iou - threshold) / iou_tau).sigmoid().masked_fill(~assigned, 0).sum(1)
        precision = before @ hits / before.sum(1)
        total = total + (hits * precision * share).sum()
    return total / len(thresholds)


def best_detections(
    boxes: Tensor, scores: Tensor, number: int = NUM_CANDIDATES, iou_threshold: float = 0.5
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best-scored pairs of a box and a class of all images together, after non-maximum suppression.

    Args:
        boxes: ``(N, M, 4)``.
        scores: ``(N, M, C)``.
        number: of pairs before the suppression, at most.
        iou_threshold: of the suppression, within each class of an image.

    Returns:
        boxes ``(D, 4)``, scores, labels and index of the image, ``(D,)``.
    """
    num_boxes, num_classes = scores.shape[1:]
    best, pair = scores.flatten().topk(min(number, scores.numel()))
    box, label = pair // num_classes, pair % num_classes
    image, found = box // num_boxes, boxes.flatten(0, 1)[box]
    kept = batched_nms(found.detach(), best.detach(), image * num_classes + label, iou_threshold)
    return found[kept], best[kept], label[kept], image[kept]


def _one_each(iou: Tensor, iou_thr: float) -> Tensor:
    """Assigns to each object ``(G,)`` one of the detections ``(D,)``, best first, as its hit: ``(D, G)``.

    A detection can be the hit only of the object that it overlaps most.
    """
    nearest = F.one_hot(iou.argmax(1), iou.shape[1]).bool() & (iou > 0)
    right = nearest & (iou >= iou_thr)
    closest = iou.masked_fill(~nearest, 0).argmax(0)
    hit = torch.where(right.any(0), right.int().argmax(0), closest)  # argmax takes the first of equals
    return F.one_hot(hit, len(iou)).T.bool() & nearest

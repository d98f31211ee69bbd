"""The YOLO loss in PyTorch as loops over images and objects, the baseline of the vectorised one.

Written like many re-implementations: targets are made object by object, then the responsible box of each object is
found, and its errors are added.
"""

from typing import Dict, Tuple

import torch
from mmdet.utils import InstanceList
from torch import Tensor
from torchvision.ops import box_convert, box_iou

WEIGHTS = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)


def loop_loss(output: Tensor, instances: InstanceList, image_size: Tuple[int, int], num_boxes: int) -> Tensor:
    """The weighted loss, mean over the images.

    Args:
        output: ``(N, 5B + C, S, S)``.
        instances: per image ``bboxes`` (x1, y1, x2, y2) in pixels, and ``labels``.
        image_size: width and height in pixels.
        num_boxes: B.
    """
    total = output.new_zeros(())
    for image_output, objects in zip(output.permute(0, 2, 3, 1), instances):
        parts = image_parts(image_output, objects.bboxes, objects.labels, image_size, num_boxes)
        for name, value in parts.items():
            total = total + WEIGHTS[name] * value
    return total / len(output)


def image_parts(
    output: Tensor, bboxes: Tensor, labels: Tensor, image_size: Tuple[int, int], num_boxes: int
) -> Dict[str, Tensor]:
    """The four parts of one image, from the output ``(S, S, 5B + C)``."""
    grid = len(output)
    cells: Dict[Tuple[int, int], Tuple[Tensor, int]] = {}
    for corners, label in zip(bboxes, labels):
        box = box_convert(corners / output.new_tensor(image_size).repeat(2), 'xyxy', 'cxcywh')
        column, row = (min(int(value * grid), grid - 1) for value in box[:2])
        cells.setdefault((row, column), (box, int(label)))  # the first object is kept

    confidences = output[..., 4 : 5 * num_boxes : 5]
    empty = torch.ones_like(confidences)
    coord = cls = obj = output.new_zeros(())
    for (row, column), (box, label) in cells.items():
        cell = output[row, column]
        corner = cell.new_tensor([column, row])
        boxes = cell[: 5 * num_boxes].view(num_boxes, 5)
        with torch.no_grad():
            predicted = torch.cat([(boxes[:, :2] + corner) / grid, boxes[:, 2:4] ** 2], dim=1)
            ious = box_iou(box_convert(predicted, 'cxcywh', 'xyxy'), box_convert(box[None], 'cxcywh', 'xyxy'))[:, 0]
            errors = ((predicted - box) ** 2).sum(1)
            best = int(ious.argmax() if ious.max() > 0 else errors.argmin())
        empty[row, column, best] = 0
        target = torch.cat([box[:2] * grid - corner, box[2:].sqrt()])
        one_hot = torch.zeros_like(cell[5 * num_boxes :])
        one_hot[label] = 1
        coord = coord + ((boxes[best, :4] - target) ** 2).sum()
        obj = obj + (boxes[best, 4] - ious[best]) ** 2
        cls = cls + ((cell[5 * num_boxes :] - one_hot) ** 2).sum()
    return dict(coord=coord, cls=cls, obj=obj, noobj=(empty * confidences**2).sum())

r"""The four parts of the YOLO loss (Redmon et al., CVPR 2016, Eq. 3), as darknet's ``detection_layer.c`` computes them.

An image is a grid of S x S cells; a cell predicts B boxes and C class scores, all linear outputs. Boxes are (x, y, w,
h): x and y the centre's offset within its cell (0 to 1), w and h fractions of the image. The network outputs sqrt(w)
and sqrt(h) directly, so no square root of a prediction is taken.

Everything is vectorised over images, cells and boxes, without host synchronisation.
"""

from typing import Callable, Mapping, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from .class_scores import checked_labels

PARTS = ('coord', 'cls', 'obj', 'noobj')
BASE_WEIGHTS = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)
ClassLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


class YOLOV1Targets(NamedTuple):
    """The M objects of a batch, and the cells that should predict them.

    Attributes:
        image: ``(M,)`` index of the object's image in the batch.
        row: ``(M,)`` row of its cell.
        column: ``(M,)`` column of its cell.
        kept: ``(M,)`` bool: the cell predicts this object; of several in one cell, only the first.
        boxes: ``(M, 4)`` x, y offset in the cell, w, h of the image.
        labels: ``(M,)`` class index.
    """

    image: Tensor
    row: Tensor
    column: Tensor
    kept: Tensor
    boxes: Tensor
    labels: Tensor

    def cells_of(self, by_cell: Tensor) -> Tensor:
        """Values ``(M, ...)`` of the objects' cells, from those of all cells ``(N, S, S, ...)``."""
        return by_cell[self.image, self.row, self.column]


def yolov1_targets(boxes: Tensor, labels: Tensor, image: Tensor, num_images: int, grid_size: int) -> YOLOV1Targets:
    """Assigns the M objects of a batch to cells.

    An object belongs to the cell that contains its centre; a centre on the right or bottom edge of the image belongs to
    the last cell. Of several objects in one cell the first one listed is kept. So it is in darknet, but that shuffles
    the objects of an image whenever it loads it, as :class:`~slf_mmdet.datasets.ShuffleInstances` does in a training
    pipeline. Without it only the first object of a cell is ever a target.

    Args:
        boxes: ``(M, 4)`` centre x, centre y, width, height as fractions of the image.
        labels: ``(M,)`` class index.
        image: ``(M,)`` index of the object's image in the batch.
        num_images: N.
        grid_size: S.
    """
    in_grid = boxes[:, :2] * grid_size
    cell = in_grid.floor().clamp(0, grid_size - 1)
    column, row = cell.long().unbind(-1)
    flat_cell = (image * grid_size + row) * grid_size + column
    index = torch.arange(len(boxes), device=boxes.device)
    first = index.new_full((num_images * grid_size**2,), len(boxes))
    first = first.scatter_reduce(0, flat_cell, index, reduce='amin')
    offsets_and_sizes = torch.cat([in_grid - cell, boxes[:, 2:]], dim=-1)
    return YOLOV1Targets(image, row, column, first[flat_cell] == index, offsets_and_sizes, labels)


def split_output(output: Tensor, boxes_per_cell: int) -> tuple[Tensor, Tensor, Tensor]:
    """Splits the head's output.

    Args:
        output: ``(N, 5B + C, S, S)``; the channels of a cell are B times (x, y, sqrt w, sqrt h, confidence), then C
            class scores.
        boxes_per_cell: B.

    Returns:
        boxes ``(N, S, S, B, 4)`` with sqrt(w) and sqrt(h), confidences ``(N, S, S, B)``, class scores ``(N, S, S, C)``.
    """
    return split_cells(output.permute(0, 2, 3, 1), boxes_per_cell)


def split_cells(cells: Tensor, boxes_per_cell: int) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`split_output`, of cells ``(..., 5B + C)``: boxes ``(..., B, 4)``, confidences, class scores."""
    boxes = cells[..., : 5 * boxes_per_cell].unflatten(-1, (boxes_per_cell, 5))
    return boxes[..., :4], boxes[..., 4], cells[..., 5 * boxes_per_cell :]


def to_image_boxes(boxes: Tensor) -> Tensor:
    """From cell offsets to the whole image.

    Args:
        boxes: ``(N, S, S, ..., 4)`` x, y in the cell, w, h of the image.

    Returns:
        The same shape, (x1, y1, x2, y2) as fractions of the image; not clipped.
    """
    size = boxes.shape[1]
    index = torch.arange(size, dtype=boxes.dtype, device=boxes.device)
    row, column = torch.meshgrid(index, index, indexing='ij')
    corner = torch.stack([column, row], dim=-1).view(1, size, size, *[1] * (boxes.dim() - 4), 2)
    return bbox_cxcywh_to_xyxy(torch.cat([(boxes[..., :2] + corner) / size, boxes[..., 2:]], dim=-1))


def squared_class_error(scores: Tensor, labels: Tensor, kept: Tensor) -> Tensor:
    """Squared error of linear class scores against the one-hot class, of M objects.

    Args:
        scores: ``(M, C)``.
        labels: ``(M,)`` class index.
        kept: ``(M,)``, 1 or 0: whether the object counts.

    Returns:
        ``(M,)``.
    """
    one_hot = F.one_hot(labels, scores.shape[-1]).to(scores.dtype)
    return (scores - one_hot).square().sum(-1) * kept


def yolov1_parts(
    output: Tensor,
    targets: YOLOV1Targets,
    boxes_per_cell: int = 2,
    rescore: bool = True,
    class_loss: ClassLoss = squared_class_error,
) -> Mapping[str, Tensor]:
    r"""The four unweighted parts of each image.

    In a cell with an object one box is responsible: the one of highest IoU with the object or, when every IoU is 0,
    the one of least root-mean-square error. Sums of squares over the image:

    - ``coord``: x, y, sqrt(w), sqrt(h) of responsible boxes;
    - ``cls``: class scores of cells with an object against the one-hot class;
    - ``obj``: confidence of responsible boxes against their IoU (detached);
    - ``noobj``: confidence of all other boxes, also those in cells with an object, against 0.

    Darknet's gradients are half of these, since it applies the difference itself as the gradient of its square.

    Args:
        output: ``(N, 5B + C, S, S)`` as in :func:`split_output`.
        targets: of the same N and S, with labels from 0 to C - 1.
        boxes_per_cell: B.
        rescore: ``False`` takes 1 as the target of ``obj`` instead of the IoU.
        class_loss: the function for ``cls``, with the signature of :func:`squared_class_error`.

    Returns:
        ``coord``, ``cls``, ``obj`` and ``noobj``, each ``(N,)``.

    Raises:
        ValueError: a label is out of range.
    """
    confidences = split_output(output, boxes_per_cell)[1]
    boxes, confidence, scores = cell_outputs(output, targets, boxes_per_cell)
    labels = checked_labels(targets.labels, scores.shape[-1])
    wanted = targets.boxes.unsqueeze(-2).to(boxes.dtype)  # (M, 1, 4)
    with torch.no_grad():
        # Both boxes are in the same cell: its position cancels, only the unit has to be that of the image.
        grid_unit = 1 / output.shape[-1]
        predicted = torch.cat([boxes[..., :2] * grid_unit, boxes[..., 2:].square()], dim=-1)
        wanted_in_image = torch.cat([wanted[..., :2] * grid_unit, wanted[..., 2:]], dim=-1)
        ious = _paired_iou(predicted, wanted_in_image)
        squared_error = (predicted - wanted_in_image).square().sum(-1)
        fit = torch.where((ious > 0).any(-1, keepdim=True), ious, -squared_error)
        kept = targets.kept.to(boxes.dtype)
        responsible = F.one_hot(fit.argmax(-1), boxes_per_cell) * kept.unsqueeze(-1)  # (M, B), 1 or 0
        goal = ious if rescore else torch.ones_like(ious)
        wanted_output = torch.cat([wanted[..., :2], wanted[..., 2:].sqrt()], dim=-1)
        # At most one object is kept per cell, so the sum is 1 or 0, too
        cells = (targets.image, targets.row, targets.column)
        others = 1 - torch.zeros_like(confidences).index_put(cells, responsible, accumulate=True)

    box_error = (boxes - wanted_output).square().sum(-1)
    by_object = [
        (box_error * responsible).sum(-1),
        class_loss(scores, labels, kept),
        ((confidence - goal).square() * responsible).sum(-1),
    ]
    coord, cls, obj = sum_by_image(torch.stack(by_object, dim=-1), targets, len(output)).unbind(-1)
    return dict(coord=coord, cls=cls, obj=obj, noobj=(confidences.square() * others).flatten(1).sum(1))


def cell_outputs(output: Tensor, targets: YOLOV1Targets, boxes_per_cell: int) -> tuple[Tensor, Tensor, Tensor]:
    """Output of the cells of the M objects.

    Args:
        output: ``(N, 5B + C, S, S)`` as in :func:`split_output`.
        targets: of the same N and S.
        boxes_per_cell: B.

    Returns:
        boxes ``(M, B, 4)`` with sqrt(w) and sqrt(h), confidences ``(M, B)``, class scores ``(M, C)``.
    """
    return split_cells(targets.cells_of(output.permute(0, 2, 3, 1)), boxes_per_cell)


def sum_by_image(values: Tensor, targets: YOLOV1Targets, num_images: int) -> Tensor:
    """Sums ``(N, ...)`` of values ``(M, ...)`` of the objects over those of each image."""
    # index_put, unlike index_add, adds in one order on a GPU as well
    return values.new_zeros(num_images, *values.shape[1:]).index_put((targets.image,), values, accumulate=True)


def _paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of boxes (x, y, w, h) ``(..., 4)`` with their counterparts, ``(...)``."""
    low = torch.maximum(boxes[..., :2] - boxes[..., 2:] / 2, others[..., :2] - others[..., 2:] / 2)
    high = torch.minimum(boxes[..., :2] + boxes[..., 2:] / 2, others[..., :2] + others[..., 2:] / 2)
    intersection = (high - low).clamp_min(0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - intersection
    return intersection / union.clamp_min(torch.finfo(union.dtype).tiny)

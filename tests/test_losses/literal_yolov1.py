"""The YOLO loss as plain loops over images, cells and boxes, in NumPy: the reference of the tests.

Written from the description of darknet's detection layer, on darknet's terms: first every confidence is pushed to 0,
then the responsible boxes are overwritten. Gradients are written by hand, as twice the difference.
"""

import math

import numpy as np


def box_iou(a, b):
    """IoU of two boxes (x, y, w, h)."""

    def overlap(c1, s1, c2, s2):
        return min(c1 + s1 / 2, c2 + s2 / 2) - max(c1 - s1 / 2, c2 - s2 / 2)

    w, h = overlap(a[0], a[2], b[0], b[2]), overlap(a[1], a[3], b[1], b[3])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


def box_rmse(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)))


def first_object_per_cell(objects, size):
    """(row, column) -> (x in cell, y in cell, w, h, label); the first object listed keeps the cell."""
    cells = {}
    for x, y, w, h, label in objects:
        column, row = min(int(x * size), size - 1), min(int(y * size), size - 1)
        cells.setdefault((row, column), (x * size - column, y * size - row, w, h, int(label)))
    return cells


def literal_parts(output, objects_per_image, num_boxes, rescore=True):
    """Parts and their gradients.

    Args:
        output: (N, 5B + C, S, S) array.
        num_boxes: B.
        rescore: whether the confidence target is the IoU.
        objects_per_image: per image a list of (x, y, w, h, label), centre and size as fractions of the image.

    Returns:
        dict part -> (N,) values, dict part -> gradient of its sum, shaped like ``output``.
    """
    num_images, channels, size, _ = output.shape
    num_classes = channels - 5 * num_boxes
    values = {name: np.zeros(num_images) for name in ('coord', 'cls', 'obj', 'noobj')}
    grads = {name: np.zeros_like(output) for name in values}

    for n in range(num_images):
        cells = first_object_per_cell(objects_per_image[n], size)
        for row in range(size):
            for column in range(size):
                at = (n, slice(None), row, column)
                cell = output[at]
                confidence = [cell[5 * b + 4] for b in range(num_boxes)]
                for b in range(num_boxes):
                    values['noobj'][n] += confidence[b] ** 2
                    grads['noobj'][n, 5 * b + 4, row, column] = 2 * confidence[b]
                if (row, column) not in cells:
                    continue
                tx, ty, tw, th, label = cells[row, column]
                for c in range(num_classes):
                    difference = cell[5 * num_boxes + c] - (1.0 if c == label else 0.0)
                    values['cls'][n] += difference**2
                    grads['cls'][n, 5 * num_boxes + c, row, column] = 2 * difference

                truth = (tx / size, ty / size, tw, th)
                best, best_iou, best_rmse = 0, 0.0, math.inf
                for b in range(num_boxes):
                    px, py, pw, ph = cell[5 * b : 5 * b + 4]
                    box = (px / size, py / size, pw * pw, ph * ph)
                    iou, rmse = box_iou(box, truth), box_rmse(box, truth)
                    if best_iou > 0 or iou > 0:
                        if iou > best_iou:
                            best, best_iou = b, iou
                    elif rmse < best_rmse:
                        best, best_rmse = b, rmse

                values['noobj'][n] -= confidence[best] ** 2
                grads['noobj'][n, 5 * best + 4, row, column] = 0
                goal = best_iou if rescore else 1.0
                values['obj'][n] += (confidence[best] - goal) ** 2
                grads['obj'][n, 5 * best + 4, row, column] = 2 * (confidence[best] - goal)
                for k, target in enumerate((tx, ty, math.sqrt(tw), math.sqrt(th))):
                    difference = cell[5 * best + k] - target
                    values['coord'][n] += difference**2
                    grads['coord'][n, 5 * best + k, row, column] = 2 * difference
    return values, grads

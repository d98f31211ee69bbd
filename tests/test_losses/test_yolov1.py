"""The vectorised YOLO loss against plain loops, and one test for each bug that re-implementations are known for."""

import numpy as np
import pytest
import torch

from slf_mmdet.losses.yolov1 import (
    PARTS,
    split_output,
    squared_class_error,
    to_image_boxes,
    yolov1_parts,
    yolov1_targets,
)

from .literal_yolov1 import literal_parts

S, B, C = 7, 2, 3


def make_targets(objects_per_image, size=S):
    rows = [row for objects in objects_per_image for row in objects]
    table = torch.tensor(rows, dtype=torch.float64).view(-1, 5)
    counts = torch.tensor([len(objects) for objects in objects_per_image])
    image = torch.arange(len(counts)).repeat_interleave(counts)
    return yolov1_targets(table[:, :4], table[:, 4].long(), image, len(counts), size)


def parts_of(output, objects_per_image, num_boxes=B, **kwargs):
    return yolov1_parts(output, make_targets(objects_per_image, output.shape[-1]), num_boxes, **kwargs)


def blank(num_images=1, size=S, num_boxes=B):
    return torch.zeros(num_images, 5 * num_boxes + C, size, size, dtype=torch.float64)


def put_box(output, image, row, column, box, x, y, w, h, confidence=0.0):
    values = torch.tensor([x, y, w**0.5, h**0.5, confidence], dtype=output.dtype)
    output[image, 5 * box : 5 * box + 5, row, column] = values


@pytest.mark.parametrize('rescore', [True, False])
@pytest.mark.parametrize(('size', 'num_boxes', 'num_classes'), [(7, 2, 20), (3, 1, 2), (5, 3, 4)])
def test_equals_literal_loop(size, num_boxes, num_classes, rescore):
    rng = np.random.default_rng(size)
    for scale in (0.05, 0.5, 2.0):  # from no overlap at all to overlap everywhere
        output = rng.normal(0.3, scale, (6, 5 * num_boxes + num_classes, size, size))
        objects = [
            [(*rng.uniform(0, 1, 2), *rng.uniform(0.01, 0.9, 2), rng.integers(num_classes)) for _ in range(count)]
            for count in (0, 1, 2, 5, 12, 40)
        ]
        values, grads = literal_parts(output, objects, num_boxes, rescore)
        tensor = torch.tensor(output, requires_grad=True)
        parts = parts_of(tensor, objects, num_boxes, rescore=rescore)
        assert tuple(parts) == PARTS
        for name in PARTS:
            np.testing.assert_allclose(parts[name].detach(), values[name], atol=1e-6, rtol=1e-6)
            (grad,) = torch.autograd.grad(parts[name].sum(), tensor, retain_graph=True)
            np.testing.assert_allclose(grad, grads[name], atol=1e-6, rtol=1e-6)


def test_coord_by_hand():
    # The object's centre (0.5, 0.5) is at (0.5, 0.5) of cell (3, 3); the prediction is off by 0.1 in x and by
    # sqrt(0.36) - sqrt(0.25) = 0.1 in sqrt(w): coord = 0.1^2 + 0.1^2 = 0.02.
    output = blank()
    put_box(output, 0, 3, 3, 0, x=0.6, y=0.5, w=0.36, h=0.25)
    parts = parts_of(output, [[(0.5, 0.5, 0.25, 0.25, 1)]])
    assert parts['coord'].item() == pytest.approx(0.02)
    assert parts['cls'].item() == pytest.approx(1.0)  # all scores 0: only the true class is off, by 1


@pytest.mark.parametrize(('row', 'column'), [(0, 0), (2, 5)])
def test_iou_is_that_of_image_units_in_any_cell(row, column):
    # Boxes of 0.2 x 0.2 whose centres differ by 0.1 in x of the image, which is 0.7 of a cell:
    # intersection 0.1 * 0.2, union 2 * 0.04 - 0.02 = 0.06, IoU 1/3. In cell units of x alone it would differ.
    output = blank()
    put_box(output, 0, row, column, 0, x=0.1 + 0.7, y=0.5, w=0.2, h=0.2, confidence=0.0)
    centre = ((column + 0.1) / S, (row + 0.5) / S)
    parts = parts_of(output, [[(*centre, 0.2, 0.2, 0)]])
    assert parts['obj'].item() == pytest.approx((1 / 3) ** 2)


def test_confidence_target_is_the_detached_iou_of_the_responsible_box():
    output = blank()
    put_box(output, 0, 3, 3, 1, x=0.5, y=0.5, w=0.2, h=0.1, confidence=0.5)  # half of the object: IoU 0.5
    output.requires_grad_()
    objects = [[(0.5, 0.5, 0.2, 0.2, 0)]]
    parts = parts_of(output, objects)
    assert parts['obj'].item() == pytest.approx(0.0)
    assert parts_of(output, objects, rescore=False)['obj'].item() == pytest.approx(0.25)
    (grad,) = torch.autograd.grad(parts_of(output + 0.1, objects)['obj'].sum(), output)
    nonzero = grad.nonzero()
    assert nonzero.tolist() == [[0, 9, 3, 3]]  # only the confidence: no gradient through the IoU into the box


def test_non_responsible_box_of_an_object_cell_counts_as_no_object():
    output = blank()
    output[:, [4, 9]] = 1.0  # every confidence is 1: noobj counts the boxes
    parts = parts_of(output, [[(0.5, 0.5, 0.2, 0.2, 0), (0.1, 0.1, 0.2, 0.2, 1)]])
    assert parts['noobj'].item() == S * S * B - 2


def test_without_any_overlap_the_least_rmse_is_responsible():
    output = blank()
    put_box(output, 0, 3, 3, 0, x=5.0, y=0.5, w=0.01, h=0.01)  # far away
    put_box(output, 0, 3, 3, 1, x=2.0, y=0.5, w=0.01, h=0.01)  # nearer, yet no overlap
    parts = parts_of(output, [[(0.5, 0.5, 0.02, 0.02, 0)]])
    assert parts['coord'].item() == pytest.approx(1.5**2 + 2 * (0.1 - 0.02**0.5) ** 2)


def test_a_prediction_of_size_zero_or_negative_root_has_a_finite_gradient():
    for root in (0.0, -0.3):
        output = blank()
        output[0, [2, 3, 7, 8]] = root
        output.requires_grad_()
        sum(part.sum() for part in parts_of(output, [[(0.5, 0.5, 0.2, 0.2, 0)]]).values()).backward()
        assert torch.isfinite(output.grad).all()


def test_a_target_of_size_zero_has_a_finite_gradient():
    output = blank().requires_grad_()
    sum(part.sum() for part in parts_of(output, [[(0.5, 0.5, 0.0, 0.0, 0)]]).values()).backward()
    assert torch.isfinite(output.grad).all()


@pytest.mark.parametrize(
    ('x', 'y', 'row', 'column', 'offset'),
    [
        (0.0, 0.0, 0, 0, (0.0, 0.0)),
        (0.99 / 7, 0.5, 3, 0, (0.99, 0.5)),  # floor, not round
        (1.0, 1.0, 6, 6, (1.0, 1.0)),  # the far corner belongs to the last cell
    ],
)
def test_cell_of_a_centre(x, y, row, column, offset):
    targets = make_targets([[(x, y, 0.1, 0.1, 2)]])
    assert (targets.row.item(), targets.column.item()) == (row, column)
    assert targets.boxes[0, :2].tolist() == pytest.approx(offset)
    assert targets.kept.item() and targets.labels.item() == 2


def test_the_first_of_two_objects_in_a_cell_keeps_it():
    first, second = (0.5, 0.5, 0.2, 0.2, 1), (0.51, 0.51, 0.6, 0.6, 2)
    for objects in ([first, second], [second, first]):
        targets = make_targets([[], objects, objects])
        assert targets.image.tolist() == [1, 1, 2, 2]
        assert targets.kept.tolist() == [True, False, True, False]
        parts = parts_of(blank(3), [[], objects, objects])
        # Of predictions of 0, coord is x^2 + y^2 + w + h
        x, y, w, h, _ = objects[0]
        expected = (x * S % 1) ** 2 + (y * S % 1) ** 2 + w + h
        assert parts['coord'].tolist() == pytest.approx([0, expected, expected])


@pytest.mark.parametrize('label', [-1, C, 255])
def test_labels_out_of_range(label):
    for class_loss in (squared_class_error, lambda scores, labels, kept: scores.sum(1)):
        with pytest.raises(ValueError, match=f'Class labels must be from 0 to {C - 1}, found {label}'):
            parts_of(blank(), [[(0.5, 0.5, 0.2, 0.2, 0), (0.1, 0.5, 0.2, 0.2, label)]], class_loss=class_loss)


def test_images_without_objects():
    output = blank(2)
    output[:, [4, 9]] = 0.5
    parts = parts_of(output.requires_grad_(), [[], []])
    assert parts['noobj'].tolist() == [S * S * B * 0.25] * 2
    assert all(parts[name].tolist() == [0, 0] for name in ('coord', 'cls', 'obj'))
    sum(part.sum() for part in parts.values()).backward()
    assert torch.isfinite(output.grad).all()


def test_a_batch_of_copies_has_the_parts_of_one():
    torch.manual_seed(0)
    output = torch.rand(1, 5 * B + C, S, S, dtype=torch.float64)
    objects = [(0.5, 0.5, 0.2, 0.2, 1), (0.2, 0.8, 0.3, 0.1, 0)]
    one, three = parts_of(output, [objects]), parts_of(output.repeat(3, 1, 1, 1), [objects] * 3)
    for name in PARTS:
        assert three[name].tolist() == pytest.approx(one[name].tolist() * 3)


def test_image_boxes_by_hand():
    output = blank()
    put_box(output, 0, row=2, column=4, box=1, x=0.5, y=0.5, w=0.2, h=0.1)
    raw, _, _ = split_output(output, B)
    boxes = to_image_boxes(torch.cat([raw[..., :2], raw[..., 2:].square()], -1))
    x, y = 4.5 / 7, 2.5 / 7
    assert boxes[0, 2, 4, 1].tolist() == pytest.approx([x - 0.1, y - 0.05, x + 0.1, y + 0.05])

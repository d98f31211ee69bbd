"""The order of an image's objects, and what follows from it for the cells of YOLO."""

from collections import Counter

import numpy as np
import pytest
import torch
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from slf_mmdet.losses import yolov1_targets


def results(boxes, with_masks=True):
    """Annotations in which the number of an object can be read from everything."""
    count = len(boxes)
    found = dict(
        gt_bboxes=HorizontalBoxes(torch.as_tensor(boxes, dtype=torch.float32).view(-1, 4)),
        gt_bboxes_labels=np.arange(count),
        gt_ignore_flags=np.arange(count) % 2 == 1,
        img=np.zeros((4, 4, 3)),
    )
    if with_masks:
        found['gt_masks'] = BitmapMasks([np.full((4, 4), index, dtype=np.uint8) for index in range(count)], 4, 4)
    return found


@pytest.fixture
def shuffle():
    np.random.seed(0)
    return TRANSFORMS.build(dict(type='ShuffleInstances'))


@pytest.mark.parametrize('with_masks', [True, False])
def test_everything_of_an_object_stays_together(shuffle, with_masks):
    boxes = [[i, i, i + 1, i + 2] for i in range(8)]
    shuffled = shuffle(results(boxes, with_masks))
    order = shuffled['gt_bboxes_labels'].tolist()
    assert sorted(order) == list(range(8)) != order
    assert shuffled['gt_bboxes'].tensor.tolist() == [boxes[index] for index in order]
    assert shuffled['gt_ignore_flags'].tolist() == [index % 2 == 1 for index in order]
    if with_masks:
        assert [int(mask[0, 0]) for mask in shuffled['gt_masks'].masks] == order
    else:
        assert 'gt_masks' not in shuffled


def test_every_order_is_equally_likely(shuffle):
    boxes = [[0, 0, 1, 1]] * 3
    orders = Counter(tuple(shuffle(results(boxes, False))['gt_bboxes_labels']) for _ in range(3000))
    # The standard deviation of a count is sqrt(3000 * 1/6 * 5/6) = 20
    assert len(orders) == 6 and all(abs(count - 500) < 100 for count in orders.values())


def test_numpys_generator_decides(shuffle):
    def order(seed):
        np.random.seed(seed)
        return shuffle(results([[0, 0, 1, 1]] * 9))['gt_bboxes_labels'].tolist()

    assert order(3) == order(3) != order(4)


@pytest.mark.parametrize('count', [0, 1])
def test_nothing_to_shuffle(shuffle, count):
    assert len(shuffle(results([[0, 0, 1, 1]] * count))['gt_bboxes']) == count


def test_each_object_of_a_cell_is_its_target_in_its_share_of_the_loads(shuffle):
    # Of 70 x 70 pixels and 7 x 7 cells, three objects have their centre in the cell from (30, 30) to (40, 40)
    boxes = [[32, 32, 36, 36], [30, 30, 38, 38], [33, 30, 35, 40], [1, 1, 5, 5]]
    targets = Counter()
    for _ in range(900):
        shuffled = shuffle(results(boxes))
        corners = shuffled['gt_bboxes'].tensor / 70
        centres = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
        labels = torch.from_numpy(shuffled['gt_bboxes_labels'])
        found = yolov1_targets(centres, labels, torch.zeros(4, dtype=torch.long), num_images=1, grid_size=7)
        targets.update(found.labels[found.kept].tolist())
    assert targets[3] == 900
    # The standard deviation of a count is sqrt(900 * 1/3 * 2/3) = 14
    assert all(abs(targets[label] - 300) < 70 for label in range(3))

"""The masks of digits-VOC: a map of classes for each image, and COCO json with a mask for each digit."""

from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from .digits_drawing import Box


class LabelledDigit(NamedTuple):
    """A digit in an image.

    Attributes:
        label: the digit.
        box: around its ink.
        mask: where in the box its ink is, (height, width) of bool.
    """

    label: int
    box: Box
    mask: np.ndarray


def class_map(image_size: int, digits: Sequence[LabelledDigit]) -> np.ndarray:
    """The class of each pixel as in VOC's ``SegmentationClass``, (image_size, image_size): 0, or the digit + 1."""
    classes = np.zeros((image_size, image_size), np.uint8)
    for label, (x1, y1, x2, y2), mask in digits:
        classes[y1 : y2 + 1, x1 : x2 + 1][mask] = label + 1
    return classes


def coco_annotations(
    file_names: Sequence[str], images: Sequence[Sequence[LabelledDigit]], image_size: int, classes: Sequence[str]
) -> Dict[str, List[Dict[str, Any]]]:
    """The content of a COCO json, with masks as compressed run lengths; everything is counted from 1.

    Args:
        file_names: of the images.
        images: the digits of each.
        image_size: side of the images in pixels.
        classes: names of the categories, in the order of the labels.
    """
    annotations: List[Dict[str, Any]] = []
    for image_id, digits in enumerate(images, 1):
        for label, (x1, y1, x2, y2), mask in digits:
            whole = np.zeros((image_size, image_size), np.uint8, order='F')
            whole[y1 : y2 + 1, x1 : x2 + 1] = mask
            runs = coco_mask.encode(whole)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=label + 1,
                    bbox=[x1, y1, x2 - x1 + 1, y2 - y1 + 1],
                    area=int(mask.sum()),
                    segmentation=dict(size=runs['size'], counts=runs['counts'].decode('ascii')),
                    iscrowd=0,
                )
            )
    return dict(
        images=[
            dict(id=image_id, file_name=name, width=image_size, height=image_size)
            for image_id, name in enumerate(file_names, 1)
        ],
        annotations=annotations,
        categories=[dict(id=number, name=name) for number, name in enumerate(classes, 1)],
    )

"""What is wrong in the annotations of COCO's json format: what mmdet would drop, misread or fail on."""

import json
import os.path as osp
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Sequence

from mmengine.fileio import get_local_path

from ..utils.checks import is_number
from .contents import did_you_mean
from .findings import Finding

SECTIONS = ('images', 'annotations', 'categories')


class CocoReport(NamedTuple):
    """Findings in one file.

    Attributes:
        problems: what makes training impossible, or silently wrong.
        bad_boxes: annotations that mmdet drops.
        others: number of annotations of each category that is not in the classes of the config.
    """

    problems: List[Finding]
    bad_boxes: List[Finding]
    others: Dict[str, int]


def check_coco(path: str, classes: Sequence[str], data_prefix: Dict[str, str], backend_args: Any = None) -> CocoReport:
    """Checks a file of annotations.

    Args:
        path: of the json.
        classes: of the config, in the order of the labels.
        data_prefix: of the data set, with the folder of images as ``img``.
        backend_args: of mmengine's file backends.

    Raises:
        FileNotFoundError: there is no such file.
    """
    report = CocoReport([], [], {})
    if 'img' not in data_prefix:
        there = ', '.join(sorted(data_prefix)) or 'nothing'
        report.problems.append(Finding(path, f'needs data_prefix=dict(img=...), the folder of images; found {there}'))
    with get_local_path(path, backend_args=backend_args) as local:
        if not osp.exists(local):
            raise FileNotFoundError(f'{path} does not exist: set data_root and ann_file of the dataset in the config.')
        try:
            with open(local, encoding='utf-8-sig') as file:
                content = json.load(file)
        except ValueError as error:
            report.problems.append(Finding(path, f'is not json ({error})'))
            return report
    if isinstance(content, dict):
        content.setdefault('annotations', [])  # COCO's own test sets have none
    missing = [key for key in SECTIONS if not isinstance(content, dict) or not isinstance(content.get(key), list)]
    if missing:
        keys = sorted(content) if isinstance(content, dict) else type(content).__name__
        report.problems.append(Finding(path, f'has no list {", ".join(map(repr, missing))}; it has {keys}'))
        return report
    found = _Checker(path, content, report)
    found.check_ids()
    found.check_categories(classes)
    found.check_images()
    found.check_annotations()
    return report


class _Checker:
    def __init__(self, path: str, content: Dict[str, List[dict]], report: CocoReport) -> None:
        self.path = path
        self.images, self.annotations, self.categories = (content[key] for key in SECTIONS)
        self.report = report

    def problem(self, reason: str) -> None:
        self.report.problems.append(Finding(self.path, reason))

    def check_ids(self) -> None:
        for kind, items in zip(SECTIONS, (self.images, self.annotations, self.categories)):
            ids = Counter(item.get('id') for item in items)
            if None in ids:
                self.problem(f'{ids[None]} of {kind} have no id')
            repeated = [key for key, count in ids.items() if count > 1 and key is not None]
            if repeated:
                self.problem(f'{len(repeated)} id(s) of {kind} are not unique: {repeated[:5]}')

    def check_categories(self, classes: Sequence[str]) -> None:
        """Mmdet numbers the categories in the order of the file, whatever the order of the classes."""
        names = [str(category.get('name')) for category in self.categories]
        for name in classes:
            if name not in names:
                self.problem(
                    f'has no category {name!r}, a class of the config{did_you_mean(name, names)}; its categories are '
                    f'{", ".join(map(repr, names))}. mmdet leaves out such a class and numbers the others differently'
                )
        there = [name for name in names if name in classes]
        wanted = [name for name in classes if name in names]
        if there != wanted:
            self.problem(
                f'has its categories in the order {there}, which mmdet numbers them in; the classes of the config are '
                f'{wanted}: write metainfo=dict(classes=(...)) in the order of the file'
            )
        by_id = {category.get('id'): str(category.get('name')) for category in self.categories}
        used = Counter(by_id.get(annotation.get('category_id'), '') for annotation in self.annotations)
        self.report.others.update({name: count for name, count in used.items() if name and name not in classes})

    def check_images(self) -> None:
        if not self.images:
            self.problem('lists no image')
        for image in self.images:
            missing = [key for key in ('file_name', 'width', 'height') if key not in image]
            if missing:
                self.problem(f'the image of id {image.get("id")!r} has no {", ".join(missing)}')
            elif not all(is_number(image[key]) and image[key] >= 1 for key in ('width', 'height')):
                size = f'{image["width"]!r} x {image["height"]!r}'
                self.problem(f'the image {image["file_name"]!r} must have a width and a height >= 1, found {size}')

    def check_annotations(self) -> None:
        images = {image.get('id'): image for image in self.images}
        categories = {category.get('id') for category in self.categories}
        strays = [each.get('id') for each in self.annotations if each.get('image_id') not in images]
        if strays:
            self.problem(f'{len(strays)} annotation(s) have an image_id of no image, those of ids {strays[:5]}')
        unknown = [each.get('id') for each in self.annotations if each.get('category_id') not in categories]
        if unknown:
            self.problem(f'{len(unknown)} annotation(s) have a category_id of no category, those of ids {unknown[:5]}')
        for each in self.annotations:
            image = images.get(each.get('image_id'))
            reason = '' if image is None else _box_fault(each, image)
            if reason.startswith('must'):
                self.problem(f'the annotation of id {each.get("id")!r} {reason}')
            elif reason and image is not None:
                self.report.bad_boxes.append(Finding(str(image.get('file_name')), reason))


def _box_fault(annotation: dict, image: dict) -> str:
    """What is wrong with the box; begins with "must" where mmdet fails on it, else it drops the annotation."""
    box = annotation.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return f'must have a bbox of four numbers, x, y, width and height, found {box!r}'
    if 'area' not in annotation:
        return 'must have an area'
    if annotation.get('ignore'):
        return ''
    x, y, width, height = box
    if width < 1 or height < 1:
        return f'box {box} (x, y, width, height) has a side of less than 1 pixel'
    size = [image.get('width', 0), image.get('height', 0)]
    if not all(map(is_number, size)):
        return ''
    if min(x + width, size[0]) <= max(x, 0) or min(y + height, size[1]) <= max(y, 0):
        return f'box {box} (x, y, width, height) is outside of the image of {size[0]}x{size[1]} pixels'
    if annotation['area'] <= 0:
        return f'box {box} has the area {annotation["area"]!r}'
    polygons = annotation.get('segmentation')
    if isinstance(polygons, list) and not all(isinstance(each, list) for each in polygons):
        wanted = 'each a list, [[x1, y1, x2, y2, x3, y3]]; a training with masks fails on it'
        return f'box {box} has a segmentation that is no list of polygons, {wanted}'
    if isinstance(polygons, list) and polygons and not any(len(each) >= 6 and len(each) % 2 == 0 for each in polygons):
        return f'box {box} has a segmentation without a polygon of three points or more'
    return ''

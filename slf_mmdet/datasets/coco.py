"""COCO json whose bad data is found when it is loaded, not during an epoch."""

import logging
import os.path as osp
from typing import Any, Dict, List

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import print_log

from .coco_json import check_coco
from .contents import RaisesWhereNothingIsLeft, has_objects, missing_objects
from .findings import BadDataError, Finding, listed


@DATASETS.register_module()
class CheckedCocoDataset(RaisesWhereNothingIsLeft, CocoDataset):
    """mmdet's ``CocoDataset``, with its file checked while it is read.

    mmdet leaves classes that the file does not have out without a word, numbers the others in the order of the file,
    and drops boxes without area or outside of their image; a data set of which nothing is left ends in NumPy. Here all
    of it is found and raised once: a class that is no category, categories in another order, missing image files,
    annotations of no image or category, ids that are not unique, a data set without an object, filters that take every
    image. Dropped boxes are logged once.

    Args:
        allow_empty: accept data without an object, such as a set of background images in a ``ConcatDataset``.
        **kwargs: those of mmdet's ``CocoDataset``.

    Attributes:
        bad_boxes: annotations that mmdet drops.
        ignored_classes: number of annotations of each category that is not among the classes.

    Raises:
        FileNotFoundError: there is no such file of annotations.
        BadDataError: files have problems, or nothing is left; it is a ``ValueError`` that lists them.
    """

    def __init__(self, allow_empty: bool = False, **kwargs: Any) -> None:
        self.allow_empty = allow_empty
        self.bad_boxes: List[Finding] = []
        self.ignored_classes: Dict[str, int] = {}
        super().__init__(**kwargs)

    def load_data_list(self) -> List[dict]:
        """Reads and checks all annotations; see the class for what is raised and what is logged."""
        classes = self.metainfo['classes']
        if isinstance(classes, str):
            raise ValueError(
                f"CheckedCocoDataset: metainfo['classes'] must be a tuple of names, found the string {classes!r}. A "
                f'single class is written with a comma: ({classes!r},)'
            )
        report = check_coco(self.ann_file, classes, self.data_prefix, self.backend_args)
        self.bad_boxes, self.ignored_classes = report.bad_boxes, report.others
        entries = super().load_data_list() if not report.problems else []
        problems = [*report.problems, *self._missing_images(entries)]
        contents = [] if problems else missing_objects(self.ann_file, entries, classes, sorted(report.others))
        if contents and not (has_objects(entries) or self.test_mode or self.allow_empty):
            problems += contents
            contents = []
        if problems:
            text = f'CheckedCocoDataset: {len(problems)} problem(s) in the data of {self.ann_file}:\n{listed(problems)}'
            raise BadDataError(text, problems, entries)
        for finding in contents:
            _warn(str(finding))
        if self.bad_boxes:
            _warn(f'{self.ann_file}: {len(self.bad_boxes)} bad box(es) dropped:\n{listed(self.bad_boxes)}')
        return entries

    def _missing_images(self, entries: List[dict]) -> List[Finding]:
        backend = get_file_backend(self.ann_file, backend_args=self.backend_args, enable_singleton=True)
        if not isinstance(backend, LocalBackend):
            return []
        absent = [each['img_path'] for each in entries if not osp.exists(each['img_path'])]
        if len(absent) > 1 and len(absent) == len(entries):
            key = f'data_prefix=dict(img={self.data_prefix["img"]!r})'
            reason = f'none of its {len(entries)} images exists: {key} makes the first one {absent[0]}'
            return [Finding(self.ann_file, reason)]
        return [Finding(path, 'image does not exist') for path in absent]


def _warn(message: str) -> None:
    print_log(f'CheckedCocoDataset: {message}', logger='current', level=logging.WARNING)

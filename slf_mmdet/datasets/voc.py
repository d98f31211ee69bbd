"""PASCAL VOC folders whose bad data is found when they are loaded, not during an epoch."""

import logging
import os
import os.path as osp
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Sequence, Set, Tuple

import mmcv
import numpy as np
from mmdet.datasets import VOCDataset
from mmdet.registry import DATASETS
from mmdet.structures.bbox import get_box_tensor
from mmengine.fileio import LocalBackend, get, get_file_backend, get_local_path
from mmengine.logging import print_log

from .contents import RaisesWhereNothingIsLeft, has_objects, missing_objects
from .findings import BadDataError, Finding, counted, listed
from .images import decoding_fault
from .voc_xml import hidden_objects, read_box, read_name, read_size, read_xml, write_box

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.JPG', '.JPEG', '.PNG')


@DATASETS.register_module()
class CheckedVOCDataset(RaisesWhereNothingIsLeft, VOCDataset):
    """mmdet's ``VOCDataset``, with every annotation checked while it is read.

    mmdet skips classes that it does not know, passes boxes without area on to the loss, and stops
    at the first unreadable xml with the parser's own error. Here everything that makes training
    impossible, or silently wrong, is collected over all files and raised once: a missing or
    empty image, a missing or malformed xml, no usable image size, an unknown class. Bad boxes are
    taken out and logged once, with their files. Images without objects stay, as negatives, unless
    ``filter_cfg=dict(filter_empty_gt=True)``.

    Boxes are those of mmdet: VOC counts pixels from 1, so 1 is subtracted. Boxes of
    files that count from 0 exceed the image by one pixel; they are clipped and not reported. With classes other
    than VOC's, ``VOCMetric`` prints these instead of VOC's names.

    An image that cannot be decoded would abort an epoch. Those of a data set for evaluation are decoded
    once when it is loaded; in training a broken image is replaced by another one, with a warning
    that names it. ``tools/analysis_tools/check_dataset.py`` finds all of them beforehand.

    Args:
        unknown_class: what to do with an object whose class is not in ``metainfo['classes']``:
            ``'raise'``, or ``'ignore'`` it and log how many there were of each class.
        bad_box: what to do with a box that is inverted, not numeric, without area or out of its
            image: ``'drop'`` it, or clip it where part of it is in the image, and log it; or
            ``'raise'``.
        bad_image: what to do with training images that cannot be decoded: ``'skip'`` them during
            training, or decode all images when the data set is loaded, and ``'raise'``.
        img_suffix: file name extension of the images.
        allow_empty: accept data without an object, such as a set of background images in a ``ConcatDataset``.
        **kwargs: those of mmdet's ``VOCDataset``, such as ``data_root``, ``ann_file``,
            ``data_prefix=dict(sub_data_root=...)``, ``metainfo`` and ``filter_cfg``.

    Attributes:
        bad_boxes: the boxes that were dropped or clipped.
        ignored_classes: number of ignored objects of each unknown class.

    Raises:
        ValueError: an argument is not one of its choices.
            Or, in evaluation, the pipeline changes the boxes of the ground truth (as mmdet's default for ``--tta``).
        FileNotFoundError: a folder or the list of images does not exist.
        BadDataError: files have problems, or no object or no image is left to train on; it is a ``ValueError`` that
            lists them.
    """

    def __init__(
        self,
        unknown_class: str = 'raise',
        bad_box: str = 'drop',
        bad_image: str = 'skip',
        img_suffix: str = '.jpg',
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        _check_choice('unknown_class', unknown_class, ('raise', 'ignore'))
        _check_choice('bad_box', bad_box, ('drop', 'raise'))
        _check_choice('bad_image', bad_image, ('skip', 'raise'))
        self.unknown_class = unknown_class
        self.bad_box = bad_box
        self.bad_image = bad_image
        self.allow_empty = allow_empty
        self._reported: Set[str] = set()
        self.img_suffix = img_suffix
        self.bad_boxes: List[Finding] = []
        self.ignored_classes: Dict[str, int] = Counter()
        self._unknown_classes: Dict[str, int] = Counter()
        self._problems: List[Finding] = []
        super().__init__(**kwargs)
        if tuple(self._metainfo['classes']) != VOCDataset.METAINFO['classes']:
            self._metainfo['dataset_type'] = None  # VOCMetric then prints these class names

    def load_data_list(self) -> List[dict]:
        """Reads and checks all annotations; see the class for what is raised and what is logged."""
        if isinstance(self._metainfo['classes'], str):
            raise ValueError(
                "CheckedVOCDataset: metainfo['classes'] must be a tuple of names, found the string "
                f'{self._metainfo["classes"]!r}. A single class is written with a comma: '
                f'({self._metainfo["classes"]!r},)'
            )
        self._check_layout()
        self.bad_boxes, self._problems = [], []
        self.ignored_classes, self._unknown_classes = Counter(), Counter()
        usable = [entry for entry in super().load_data_list() if entry]

        for image_id, count in Counter(entry['img_id'] for entry in usable).items():
            if count > 1:
                self._problem(self.ann_file, f'lists {image_id!r} {count} times')
        if self.test_mode or self.bad_image == 'raise':
            usable = self._decodable(usable)
        if not usable and not self._problems:
            self._problem(self.ann_file, 'lists no image')
        if not self._problems:
            contents = missing_objects(self.ann_file, usable, self._metainfo['classes'], sorted(self.ignored_classes))
            if has_objects(usable):
                for finding in contents:
                    _warn(str(finding))
            elif not (self.test_mode or self.allow_empty):
                self._problems += contents
        if self.bad_box == 'raise':
            self._problems += self.bad_boxes
        if self._problems:
            raise BadDataError(self._explain_problems(), self._problems, usable)

        if self.bad_boxes:
            _warn(
                f'{self.ann_file}: {len(self.bad_boxes)} bad box(es) dropped, or clipped to the '
                f'image:\n{listed(self.bad_boxes)}'
            )
        if self.ignored_classes:
            _warn(f'{self.ann_file}: ignored unknown classes {counted(self.ignored_classes)}')
        return usable

    def prepare_data(self, idx: int) -> Any:
        """Runs the pipeline on one image.

        Returns:
            Its result; ``None`` for a training image that cannot be decoded, instead of which mmengine takes another.
        """
        try:
            data = super().prepare_data(idx)
        except Exception:
            path = self.get_data_info(idx)['img_path']
            fault = self._decoding_fault(path)
            if self.test_mode or not fault:
                raise
            if path not in self._reported:
                self._reported.add(path)
                _warn(f'{path}: {fault}; another image takes its place. check_dataset.py lists all such images.')
            return None
        if self.test_mode:
            self._check_ground_truth(idx, data)
        return data

    def parse_data_info(self, img_info: dict) -> dict:
        """Reads and checks the annotation of one image.

        Args:
            img_info: ``img_id`` and ``xml_path``, as mmdet's ``load_data_list`` gives them.

        Returns:
            mmdet's data info, or an empty dict where there is none or problems were found.
        """
        img_id, xml_path = img_info['img_id'], img_info['xml_path']
        if not img_id.strip():  # an empty line
            return {}
        img_path = osp.join(self.sub_data_root, self.img_subdir, img_id + self.img_suffix)
        wrong = self._wrong_line(img_id)
        if wrong:
            self._problem(self.ann_file, wrong)
            return {}
        num_problems = len(self._problems)
        self._check_image(img_path)
        data_info = dict(img_id=img_id, img_path=img_path, xml_path=xml_path)
        try:
            with get_local_path(xml_path, backend_args=self.backend_args) as local_path:
                root = read_xml(local_path)
            hidden = hidden_objects(root)
            if hidden:
                self._problem(xml_path, hidden)
            size = read_size(root)
            if len(self._problems) == num_problems:
                width, height = size or self._decoded_size(img_path)
                self._clean_objects(root, xml_path, width, height)
                data_info.update(width=width, height=height)
        except ValueError as error:
            self._problem(xml_path, str(error))
        if len(self._problems) > num_problems:
            return {}
        return {**data_info, 'instances': self._parse_instance_info(root)}

    def _check_ground_truth(self, idx: int, data: Any) -> None:
        """Raises where the pipeline has changed the boxes that ``VOCMetric`` compares detections with."""
        samples = data.get('data_samples') if isinstance(data, dict) else None
        info = self.get_data_info(idx)
        annotated = sorted(instance['bbox'] for instance in info['instances'])
        for sample in samples if isinstance(samples, list) else [samples]:
            if sample is None or 'gt_instances' not in sample or 'bboxes' not in sample.gt_instances:
                continue
            groups = [sample.gt_instances, sample.get('ignored_instances')]
            boxes = [box for group in groups if group is not None for box in get_box_tensor(group.bboxes).tolist()]
            if len(boxes) != len(annotated) or not np.allclose(np.array(sorted(boxes)), annotated, atol=0.01):
                raise ValueError(
                    f'{info["img_path"]}: the pipeline changes the ground truth, but an evaluation compares detections '
                    'with the boxes of the annotation. Put LoadAnnotations after Resize, flips and whatever else moves '
                    "boxes; for test-time augmentation as a step of TestTimeAug, as in our configs' tta_pipeline."
                )

    def _check_layout(self) -> None:
        images = osp.join(self.sub_data_root, self.img_subdir)
        annotations = osp.join(self.sub_data_root, self.ann_subdir)
        for key, path in (
            ('data_root', self.data_root),
            ('data_prefix.sub_data_root', self.sub_data_root),
            ('ann_file', self.ann_file),
            ('img_subdir', images),
            ('ann_subdir', annotations),
        ):
            if path and self._is_local(path) and not osp.exists(path):
                raise FileNotFoundError(
                    f'CheckedVOCDataset: {path!r} does not exist (config key {key!r}; relative '
                    f'paths start at {os.getcwd()!r}). Expected layout:\n'
                    f'  {osp.join(images, "<id>" + self.img_suffix)}\n'
                    f'  {osp.join(annotations, "<id>.xml")}\n'
                    f'  {self.ann_file}  (one <id> a line)\n'
                    'Set data_root, ann_file and data_prefix.sub_data_root of the dataset in the '
                    'config, or for one run with --cfg-options '
                    'train_dataloader.dataset.data_root=... (and val_, test_).\n'
                    'PASCAL VOC: unpack the official archives of VOC 2007 (trainval and test) and '
                    'VOC 2012 (trainval), host.robots.ox.ac.uk/pascal/VOC, to data/VOCdevkit. '
                    'No data at hand: `make demo` builds a small set, data/digits_voc.'
                )

    def _wrong_line(self, img_id: str) -> str:
        """Why a line of the list is not the name of an image, if there is no such image; or ''."""
        folder = osp.join(self.sub_data_root, self.img_subdir)
        if not self._is_local(folder) or osp.exists(osp.join(folder, img_id + self.img_suffix)):
            return ''

        def exists(name: str) -> bool:
            return osp.exists(osp.join(folder, name + self.img_suffix))

        if img_id.startswith('\ufeff') and exists(img_id.strip('\ufeff \r\t')):
            return f'begins with a byte order mark, so its first image is {img_id!r}: save it as UTF-8 without BOM'
        if exists(img_id.strip()):
            return f'has blanks around the image {img_id!r}: remove them, also at the ends of lines'
        first, _, rest = img_id.strip().partition(' ')
        if rest.strip() in ('1', '0', '-1') and exists(first):
            return (
                f'has the line {img_id!r}, as the lists of one class of PASCAL VOC: a number for each image says '
                'whether the class is there. Take the list of all images, such as ImageSets/Main/trainval.txt, or '
                'remove the numbers'
            )
        stem, suffix = osp.splitext(img_id.strip())
        if suffix.lower() in IMAGE_SUFFIXES and exists(stem):
            return f'has the file name {img_id!r}: write image names without {suffix!r}'
        return ''

    def _check_image(self, img_path: str) -> None:
        """Records a missing or empty image, without decoding it, which takes far longer."""
        if not self._is_local(img_path):
            return
        try:
            if osp.getsize(img_path) == 0:
                self._problem(img_path, 'image is empty (0 bytes)')
        except OSError as error:
            self._problem(img_path, f'image cannot be read ({error.strerror})')

    def _decodable(self, entries: List[dict]) -> List[dict]:
        """The entries whose images can be decoded; the others are recorded as problems."""
        with ThreadPoolExecutor() as pool:  # OpenCV decodes without holding the interpreter's lock
            faults = list(pool.map(self._decoding_fault, [entry['img_path'] for entry in entries]))
        for entry, fault in zip(entries, faults):
            if fault:
                self._problem(entry['img_path'], fault)
        return [entry for entry, fault in zip(entries, faults) if not fault]

    def _decoding_fault(self, img_path: str) -> str:
        try:
            return decoding_fault(get(img_path, backend_args=self.backend_args))
        except OSError as error:
            return f'image cannot be read ({error.strerror})'

    def _decoded_size(self, img_path: str) -> Tuple[int, int]:
        """Width and height of an image whose xml has no ``<size>``, as the pipeline loads it."""
        content = get(img_path, backend_args=self.backend_args)
        if decoding_fault(content):
            raise ValueError(f'has no <size>, and {img_path} cannot be decoded')
        image = mmcv.imfrombytes(content)
        return image.shape[1], image.shape[0]

    def _clean_objects(self, root: ET.Element, xml_path: str, width: int, height: int) -> None:
        """Leaves in ``root`` only objects that mmdet's parser turns into valid instances."""
        for item in root.findall('object'):
            name = read_name(item)
            if name not in self.cat2label:
                if self.unknown_class == 'raise':
                    self._unknown_classes[name] += 1
                    self._problem(xml_path, f'unknown class {name!r}')
                else:
                    self.ignored_classes[name] += 1
                root.remove(item)
                continue
            corners, reason = read_box(item, width, height)
            if reason:
                self.bad_boxes.append(Finding(xml_path, f'{name}: {reason}'))
            if corners is None:
                root.remove(item)
                continue
            write_box(item, corners)

    def _explain_problems(self) -> str:
        lines = [
            f'CheckedVOCDataset: {len(self._problems)} problem(s) in the data of {self.ann_file}:',
            listed(self._problems),
        ]
        if self._unknown_classes:
            lines.append(
                f'Unknown classes: {counted(self._unknown_classes)}. Known are '
                f'{", ".join(self.cat2label)}. Correct metainfo=dict(classes=(...)) in the config, '
                "or leave the objects out with unknown_class='ignore'."
            )
        unread = [finding.path for finding in self._problems if 'image cannot be read' in finding.reason]
        for path in unread[:1]:
            stem = osp.splitext(path)[0]
            named = [suffix for suffix in IMAGE_SUFFIXES if osp.exists(stem + suffix)]
            hint = f'set img_suffix={named[0]!r}' if named else 'there is none of that name with another extension'
            lines.append(f'Images are looked for as <id>{self.img_suffix}: {hint}.')
        if self.bad_box == 'raise' and self.bad_boxes:
            lines.append("bad_box='drop' trains without the bad boxes.")
        return '\n'.join(lines)

    def _problem(self, path: str, reason: str) -> None:
        self._problems.append(Finding(path, reason))

    def _is_local(self, path: str) -> bool:
        backend = get_file_backend(path, backend_args=self.backend_args, enable_singleton=True)
        return isinstance(backend, LocalBackend)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f'CheckedVOCDataset: {name} must be one of {", ".join(map(repr, choices))}, found {value!r}')


def _warn(message: str) -> None:
    print_log(f'CheckedVOCDataset: {message}', logger='current', level=logging.WARNING)

"""Checks all data of a config before a training: annotations, images, and that splits and classes are consistent."""

import logging
import os.path as osp
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple, Union

from mmdet.datasets import BaseDetDataset, CocoDataset, XMLDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.logging import print_log
from PIL import Image, ImageFile, ImageOps
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from .coco_json import check_coco
from .contents import RaisesWhereNothingIsLeft, filtered_away, has_objects, missing_objects
from .findings import BadDataError, Finding, listed
from .images import decoding_fault
from .subset import DatasetSubset

SPLITS = ('train', 'val', 'test')


@dataclass
class SplitReport:
    """Statistics and problems of one dataloader's data, before ``filter_cfg``.

    Args:
        name: ``'train'``, ``'val'`` or ``'test'``.
        classes: class names; an object's label is the index in this tuple.
        objects: number of objects of each class, difficult ones included.
        num_difficult: number of objects that are ignored in training and evaluation.
        num_negatives: number of images without objects.
        images: paths of the images.
        problems: of single files.
    """

    name: str
    classes: Tuple[str, ...] = ()
    objects: Dict[str, int] = field(default_factory=Counter)
    num_difficult: int = 0
    num_negatives: int = 0
    images: Set[str] = field(default_factory=set)
    problems: List[Finding] = field(default_factory=list)


@dataclass
class DataReport:
    """Statistics and problems of the data of a config.

    Args:
        splits: one report for each dataloader.
        mismatches: inconsistencies: images in two splits, class lists, ``num_classes``.
    """

    splits: List[SplitReport]
    mismatches: List[Finding]

    @property
    def problems(self) -> List[Finding]:
        """All findings, each once: val and test are often the same data."""
        found = [finding for split in self.splits for finding in split.problems]
        return list(dict.fromkeys(found + self.mismatches))

    def show(self, console: Console) -> None:
        """Prints a table of counts and the list of problems."""
        table = Table('', *(split.name for split in self.splits))
        for column in table.columns[1:]:
            column.justify = 'right'

        def add(title: str, counts: Sequence[int]) -> None:
            table.add_row(title, *(f'{count:,}' for count in counts))

        add('images', [len(split.images) for split in self.splits])
        add('  without objects', [split.num_negatives for split in self.splits])
        add('objects', [sum(split.objects.values()) for split in self.splits])
        add('  difficult', [split.num_difficult for split in self.splits])
        table.add_section()
        for name in dict.fromkeys(name for split in self.splits for name in split.classes):
            add(escape(name), [split.objects[name] for split in self.splits])
        table.add_section()
        add('problems', [len(split.problems) for split in self.splits])
        console.print(table)

        for finding in self.problems:
            console.print(str(finding), markup=False, highlight=False, soft_wrap=True)
        console.print(f'{len(self.problems)} problem(s) found', highlight=False)


def check_config(cfg: Config, splits: Sequence[str] = SPLITS, progress: bool = True) -> DataReport:
    """Reads all annotations and decodes all images of a config.

    Args:
        cfg: a full config, or one with dataloaders only.
        splits: dataloaders to check; those that the config does not have are skipped.
        progress: show progress bars.

    Returns:
        Counts and problems.

    Raises:
        FileNotFoundError: a folder or a list of images is missing.
        ValueError: a data set is not one of detection.
    """
    reports: List[SplitReport] = []
    for split in splits:
        dataset_cfg = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if dataset_cfg is None:
            continue
        same = [report for report in reports if cfg[f'{report.name}_dataloader'].dataset == dataset_cfg]
        if same:  # val and test, mostly
            reports.append(replace(same[0], name=split))
        else:
            reports.append(_check_split(split, dataset_cfg, progress))
    mismatches = [
        *_shared_images(reports),
        *_class_mismatches(reports),
        *_num_classes_mismatches(cfg, reports),
    ]
    return DataReport(reports, mismatches)


def check_before_training(cfg: Config) -> None:
    """Reads the annotations of data sets that mmdet reads without a check, ``CocoDataset`` and ``XMLDataset``.

    Images are not looked at. :class:`CheckedCocoDataset` and :class:`CheckedVOCDataset` check themselves when they are
    built, so they are passed over.

    Args:
        cfg: a full config.

    Raises:
        BadDataError: the training data has no object, or its filters leave no image. Other findings are logged.
        FileNotFoundError: a file of annotations is missing.
    """
    for split in ('train', 'val'):
        dataset_cfg = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        leaves = [leaf for leaf, _ in _leaves(dataset_cfg)] if dataset_cfg else []
        unchecked = [leaf for leaf in leaves if _is_read_without_check(leaf['type'])]
        found = [_read(DATASETS.build({**leaf, 'lazy_init': True})) for leaf in unchecked]
        missing = [finding for each in found for finding in each.missing]
        filtered = [finding for each in found for finding in each.filtered]
        nothing = bool(leaves) and len(found) == len(leaves) and not any(has_objects(each.entries) for each in found)
        if split == 'train' and (nothing or filtered):
            errors = [finding for each in found for finding in each.problems] + missing + filtered
            raise BadDataError(f'train_dataloader holds nothing to train on:\n{listed(errors)}', errors)
        others = [finding for each in found for finding in [*each.problems, *each.missing]]
        if others:
            text = f'{split}_dataloader: {len(others)} problem(s) in the data:\n{listed(others)}'
            print_log(text, logger='current', level=logging.WARNING)


def check_image(path: str, width: int, height: int) -> str:
    """Decodes an image fully.

    Args:
        path: the image file.
        width: width in pixels according to the annotation.
        height: height in pixels according to the annotation.

    Returns:
        What is wrong, or ''.
    """
    try:
        with Image.open(path) as image:
            image.load()
            found = ImageOps.exif_transpose(image).size  # as the pipeline's decoder does
        fault = decoding_fault(Path(path).read_bytes())  # the pipeline's decoder rejects other files than Pillow
    except Exception as error:  # decoders raise errors of any type on broken files
        return f'image cannot be decoded ({error})'
    if fault:
        return fault
    if found != (width, height):
        return (
            f'image has {found[0]}x{found[1]} pixels, its annotation says {width}x{height}: '
            'the boxes are those of another size'
        )
    return ''


def _check_split(name: str, dataset_cfg: dict, progress: bool) -> SplitReport:
    report = SplitReport(name)
    entries: List[dict] = []
    for leaf, subsets in _leaves(dataset_cfg):
        if not _is_a(leaf['type'], BaseDetDataset):
            raise ValueError(
                f'{name}_dataloader: {leaf["type"]} is not a data set of detection, of which images and boxes could be '
                'checked.'
            )
        dataset = DATASETS.build({**leaf, 'lazy_init': True})
        classes = tuple(dataset.metainfo['classes'])
        report.classes = report.classes or classes
        if classes != report.classes:
            text = f'{leaf["type"]} has the classes {classes}, but a data set before it {report.classes}'
            report.problems.append(Finding(f'{name}_dataloader', text))
        found = _read(dataset)
        report.problems += [*found.problems, *found.missing, *found.filtered]
        read = _kept_by(subsets, found.entries)
        entries += read
        for entry in read:
            report.images.add(osp.realpath(entry['img_path']))
            report.num_negatives += not entry['instances']
            for instance in entry['instances']:
                report.objects[classes[instance['bbox_label']]] += 1
                report.num_difficult += instance['ignore_flag']
    report.problems = list(dict.fromkeys(report.problems))  # bad_box='raise' names a box twice
    report.problems += _check_images(name, entries, progress)
    return report


class _Contents(NamedTuple):
    entries: List[dict]  # that can be used
    problems: List[Finding]
    missing: List[Finding] = []  # objects, or those of a class
    filtered: List[Finding] = []  # that no image is left


def _read(dataset: Any) -> _Contents:
    problems: List[Finding] = []
    others: Dict[str, int] = {}
    if _is_plain_coco(dataset):
        classes = dataset.metainfo['classes']
        report = check_coco(dataset.ann_file, classes, dataset.data_prefix, dataset.backend_args)
        problems, others = [*report.problems, *report.bad_boxes], report.others
    try:
        entries = dataset.load_data_list()
    except BadDataError as error:
        return _Contents(error.usable, [*problems, *error.problems, *getattr(dataset, 'bad_boxes', ())])
    except Exception as error:  # mmdet's readers raise errors of any type
        if not problems:
            raise
        return _Contents([], [*problems, Finding(dataset.ann_file, f'cannot be read ({error!r})')])
    problems += getattr(dataset, 'bad_boxes', ())
    others = others or getattr(dataset, 'ignored_classes', {})
    missing = missing_objects(dataset.ann_file, entries, dataset.metainfo['classes'], sorted(others))
    if getattr(dataset, 'allow_empty', False) and not has_objects(entries):
        missing = []
    unchecked = dataset.unchecked_filter_data if isinstance(dataset, RaisesWhereNothingIsLeft) else dataset.filter_data
    return _Contents(entries, problems, missing, filtered_away(dataset, entries, unchecked))


def _is_read_without_check(kind: Union[str, type]) -> bool:
    return _is_a(kind, (CocoDataset, XMLDataset)) and not _is_a(kind, RaisesWhereNothingIsLeft)


def _is_a(kind: Union[str, type], classes: Union[type, Tuple[type, ...]]) -> bool:
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    return isinstance(cls, type) and issubclass(cls, classes)


def _is_plain_coco(dataset: Any) -> bool:
    """Whether a data set reads COCO's format of detection as mmdet's CocoDataset does."""
    same = ('load_data_list', 'parse_data_info')
    return isinstance(dataset, CocoDataset) and all(
        getattr(type(dataset), name) is getattr(CocoDataset, name) for name in same
    )


def _check_images(name: str, entries: Sequence[dict], progress: bool) -> List[Finding]:
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # some libraries enable it for the whole process
    try:
        with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter's lock
            reasons = pool.map(
                lambda entry: check_image(entry['img_path'], entry['width'], entry['height']),
                entries,
            )
            found = zip(entries, reasons)
            title = f'decoding {name} images'
            return [
                Finding(entry['img_path'], reason)
                for entry, reason in track(found, title, len(entries), disable=not progress)
                if reason
            ]
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _leaves(dataset_cfg: dict, subsets: Tuple[dict, ...] = ()) -> Iterator[Tuple[dict, Tuple[dict, ...]]]:
    """The data sets inside wrappers such as ConcatDataset, each with those wrappers that keep some of its images."""
    if 'datasets' in dataset_cfg:
        for inner in dataset_cfg['datasets']:
            yield from _leaves(inner, subsets)
    elif 'dataset' in dataset_cfg:
        keeps_some = _is_a(dataset_cfg['type'], DatasetSubset)
        yield from _leaves(dataset_cfg['dataset'], (*subsets, dataset_cfg) if keeps_some else subsets)
    else:
        yield dataset_cfg, subsets


def _kept_by(subsets: Sequence[dict], entries: List[dict]) -> List[dict]:
    """The entries that all wrappers such as :class:`HeldOutSplit` keep, or all where their data cannot be read."""
    for subset in subsets:
        try:
            dataset = DATASETS.build(subset)
        except (BadDataError, ValueError, OSError):  # the problems of the data set itself say why
            continue
        kept = {dataset.get_data_info(index)['img_path'] for index in range(len(dataset))}
        entries = [entry for entry in entries if entry['img_path'] in kept]
    return entries


def _shared_images(reports: Sequence[SplitReport]) -> Iterator[Finding]:
    train = {path for report in reports if report.name == 'train' for path in report.images}
    others = [report for report in reports if report.name != 'train']
    for path in sorted(train.intersection(path for other in others for path in other.images)):
        names = ' and '.join(other.name for other in others if path in other.images)
        yield Finding(path, f'is used for training and for {names}')


def _class_mismatches(reports: Sequence[SplitReport]) -> Iterator[Finding]:
    for report in reports[1:]:
        if report.classes != reports[0].classes:
            yield Finding(
                f'{report.name}_dataloader',
                f'its classes {report.classes} are not those of {reports[0].name}: {reports[0].classes}',
            )


def _num_classes_mismatches(cfg: Config, reports: Sequence[SplitReport]) -> Iterator[Finding]:
    for key, num_classes in _bbox_heads(cfg.get('model') or {}, 'model'):
        for report in reports:
            if num_classes != len(report.classes):
                yield Finding(
                    f'{key}.num_classes',
                    f'is {num_classes}, but {report.name}_dataloader has {len(report.classes)} '
                    f'classes: {report.classes}',
                )


def _bbox_heads(node: object, key: str) -> Iterator[Tuple[str, int]]:
    """``num_classes`` of all box heads, those in a wrapped detector or in a list included."""
    if isinstance(node, dict):
        if 'bbox_head' in key.rsplit('.', 1)[-1] and 'num_classes' in node:
            yield key, node['num_classes']
        for name, inner in node.items():
            yield from _bbox_heads(inner, f'{key}.{name}')
    elif isinstance(node, (list, tuple)):
        for index, inner in enumerate(node):
            yield from _bbox_heads(inner, f'{key}[{index}]')

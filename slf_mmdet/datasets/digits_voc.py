"""Digits-VOC: a small, real detection set that is built in seconds, without a download.

Handwritten digits (scikit-learn's ``load_digits``: 1,797 scans of 8x8 pixels, Alpaydin & Kaynak,
UCI 1998) are enlarged and drawn in random size, slant, colour and position on cluttered canvases. The
result is an ordinary ``VOCdevkit`` folder, so that everything made for PASCAL VOC works on it. Beside
it are the masks of the digits: as VOC's ``SegmentationClass``, and as COCO json. Training and test
images show different scans.
"""

import filecmp
import json
import shutil
import uuid
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Union

import cv2
import numpy as np
from rich.progress import track
from sklearn.datasets import load_digits

from .digits_drawing import draw_image
from .digits_masks import LabelledDigit, class_map, coco_annotations

DIGIT_CLASSES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
"""Class names; the position in the tuple is the digit."""

RECORD_NAME = 'digits_voc.json'
"""File in the set's folder that records what it was built with."""

_FORMAT_VERSION = 2  # raise when the same parameters give other files
_WITHOUT_MASKS = 1  # the version whose images and xml files are the same, but which had no masks
_VOC = Path('VOCdevkit', 'VOC2007')
_MASKS = (_VOC / 'SegmentationClass', Path('annotations'))
_NUM_SCANS = 1797
_NUM_TEST_SCANS = 360  # the last fifth of load_digits()


@dataclass(frozen=True)
class DigitsVOCSpec:
    """Parameters that determine the files of a set.

    Args:
        num_train: images in ``trainval.txt``, >= 1.
        num_test: images in ``test.txt``, >= 1.
        image_size: side of the square images in pixels.
        digit_size: smallest and largest side of a digit's scan in pixels; the box around its ink is
            about as high, and narrower.
        max_digits: maximum number of digits in an image, >= 1. Digits that do not fit are left out.
        seed: seed of everything random, >= 0.
    """

    num_train: int = 2000
    num_test: int = 500
    image_size: int = 112
    digit_size: Tuple[int, int] = (18, 48)
    max_digits: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (('num_train', 1), ('num_test', 1), ('max_digits', 1), ('seed', 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f'digits-VOC: {name} must be an integer >= {least}, found {value!r}')
        low, high = self.digit_size
        room = self.image_size * 3 // 4  # so that the first digit of an image always fits
        if not 8 <= low <= high <= room:
            raise ValueError(
                f'digits-VOC: digit_size must satisfy 8 <= least <= largest <= {room} (3/4 of '
                f'image_size), found {tuple(self.digit_size)}'
            )

    def record(self) -> Dict[str, Any]:
        """What is written to ``digits_voc.json``, as plain JSON values."""
        return {'format_version': _FORMAT_VERSION, **json.loads(json.dumps(asdict(self)))}


def build_digits_voc(
    out_dir: Union[str, Path],
    num_train: int = 2000,
    num_test: int = 500,
    image_size: int = 112,
    seed: int = 0,
    digit_size: Tuple[int, int] = (18, 48),
    max_digits: int = 4,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Builds the set at ``out_dir``; an existing one that was built with the same parameters is kept.

    The same parameters give the same bytes (with the same versions of NumPy and OpenCV). The set is
    built beside ``out_dir`` and moved there when it is complete: an interrupted build leaves no
    partial set. Masks are added to a set of version 0.2 or older, which has none.

    Args:
        out_dir: folder of the set; images are in ``<out_dir>/VOCdevkit/VOC2007/JPEGImages``, maps of the class of
            each pixel, 0 for none and else the digit + 1, in ``SegmentationClass`` beside them, and COCO json with a
            mask of each digit in ``<out_dir>/annotations/instances_{trainval,test}.json``.
        num_train: see :class:`DigitsVOCSpec`, as the next five.
        num_test: number of test images.
        image_size: side of the images in pixels.
        seed: seed of everything random.
        digit_size: smallest and largest side of a digit in pixels.
        max_digits: maximum number of digits in an image.
        overwrite: replace a set that was built with other parameters.
        progress: show a progress bar.

    Returns:
        The absolute path of ``out_dir``.

    Raises:
        ValueError: a parameter is out of its range.
        FileExistsError: ``out_dir`` holds another set and ``overwrite`` is False, or it holds
            something else, or a set without masks whose images differ from those that are drawn now.
    """
    spec = DigitsVOCSpec(num_train, num_test, image_size, digit_size, max_digits, seed)
    out_dir = Path(out_dir).absolute()
    if _holds_set(out_dir, spec, overwrite):
        return out_dir

    # A sibling, because only a rename within one file system is atomic.
    building = out_dir.parent / f'.{out_dir.name}.building-{uuid.uuid4().hex}'
    building.mkdir(parents=True)
    try:
        _write_set(building, spec, progress)
        if _lacks_masks(out_dir, spec) and not overwrite:
            _add_masks(building, out_dir)
            return out_dir
        if _holds_set(out_dir, spec, overwrite):  # another process was faster
            return out_dir
        _move(building, out_dir)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out_dir


def split_scans(split: str) -> range:
    """Indices into ``load_digits()`` of the scans that one split is drawn from.

    Args:
        split: ``'trainval'`` or ``'test'``.
    """
    first_test = _NUM_SCANS - _NUM_TEST_SCANS
    return {'trainval': range(first_test), 'test': range(first_test, _NUM_SCANS)}[split]


def _holds_set(out_dir: Path, spec: DigitsVOCSpec, overwrite: bool) -> bool:
    """Whether ``out_dir`` already is the wanted set; raises if it must not be replaced."""
    if not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir())):
        return False
    record_path = out_dir / RECORD_NAME
    if not record_path.is_file():
        raise FileExistsError(
            f'{out_dir} exists and is not a digits-VOC set (it has no {RECORD_NAME}). Nothing was '
            'changed: name another folder, or remove this one.'
        )
    found, wanted = json.loads(record_path.read_text()), spec.record()
    if found == wanted:
        return True
    if not overwrite and not _lacks_masks(out_dir, spec):
        other = {
            key: (found.get(key), wanted.get(key))
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        }
        listed = ', '.join(f'{key}={old!r} (asked for: {new!r})' for key, (old, new) in other.items())
        raise FileExistsError(
            f'{out_dir} holds a digits-VOC set built with {listed}. Name another folder, or '
            'replace it with overwrite=True (command line: --overwrite).'
        )
    return False


def _lacks_masks(out_dir: Path, spec: DigitsVOCSpec) -> bool:
    """Whether ``out_dir`` is the wanted set as an earlier version built it."""
    record_path = out_dir / RECORD_NAME
    if not record_path.is_file():
        return False
    return json.loads(record_path.read_text()) == {**spec.record(), 'format_version': _WITHOUT_MASKS}


def _add_masks(building: Path, out_dir: Path) -> None:
    """Moves the masks of a finished set to ``out_dir``, which has the same images; they may be in use meanwhile."""
    images = [path.name for path in (building / _VOC / 'JPEGImages').iterdir()]
    same, _, _ = filecmp.cmpfiles(building / _VOC / 'JPEGImages', out_dir / _VOC / 'JPEGImages', images, shallow=False)
    if len(same) < len(images):
        raise FileExistsError(
            f'{out_dir} holds a digits-VOC set without masks, of which {len(images) - len(same)} of {len(images)} '
            'images differ from those that this version of NumPy and OpenCV draws, so that masks would not fit. Name '
            'another folder, or replace it with overwrite=True (command line: --overwrite).'
        )
    for folder in _MASKS:
        if (out_dir / folder).exists():  # of an addition that was interrupted
            shutil.rmtree(out_dir / folder)
        (building / folder).rename(out_dir / folder)
    (building / RECORD_NAME).replace(out_dir / RECORD_NAME)


def _move(building: Path, out_dir: Path) -> None:
    """Moves the finished set to ``out_dir``, replacing what is there."""
    if out_dir.exists():
        old = building.with_name(building.name + '.old')
        out_dir.rename(old)
        building.rename(out_dir)
        shutil.rmtree(old)
    else:
        building.rename(out_dir)


def _write_set(root: Path, spec: DigitsVOCSpec, progress: bool) -> None:
    voc = root / _VOC
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main', 'SegmentationClass'):
        (voc / folder).mkdir(parents=True)
    (root / 'annotations').mkdir()

    scans = load_digits()
    number = 0
    for stream, (split, num_images) in enumerate((('trainval', spec.num_train), ('test', spec.num_test))):
        ids: List[str] = []
        in_split: List[List[LabelledDigit]] = []
        choices = split_scans(split)
        for index in track(range(num_images), f'digits-VOC {split}', disable=not progress):
            number += 1
            ids.append(f'{number:06d}')
            # One stream for each image, so that an image does not depend on the number of images
            rng = np.random.default_rng([spec.seed, stream, index])
            picked = rng.choice(choices, rng.integers(1, spec.max_digits + 1))
            image, drawn = draw_image(scans.images[picked], spec.image_size, spec.digit_size, rng)
            digits = [LabelledDigit(int(scans.target[picked[each.position]]), each.box, each.mask) for each in drawn]
            in_split.append(digits)
            _, jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 92])
            (voc / 'JPEGImages' / f'{ids[-1]}.jpg').write_bytes(jpeg.tobytes())
            xml = _annotation(ids[-1], spec.image_size, digits)
            xml.write(voc / 'Annotations' / f'{ids[-1]}.xml')
            _, png = cv2.imencode('.png', class_map(spec.image_size, digits))
            (voc / 'SegmentationClass' / f'{ids[-1]}.png').write_bytes(png.tobytes())
        (voc / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(ids) + '\n')
        content = coco_annotations([f'{name}.jpg' for name in ids], in_split, spec.image_size, DIGIT_CLASSES)
        (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content))
    (root / RECORD_NAME).write_text(json.dumps(spec.record(), indent=2) + '\n')


def _annotation(image_id: str, image_size: int, digits: Sequence[LabelledDigit]) -> ET.ElementTree:
    """The VOC xml of one image; VOC counts pixels from 1 and includes both corners."""
    root = ET.Element('annotation')
    _add(root, folder='VOC2007', filename=f'{image_id}.jpg')
    _add(ET.SubElement(root, 'source'), database='digits-VOC')
    _add(ET.SubElement(root, 'size'), width=image_size, height=image_size, depth=3)
    _add(root, segmented=0)
    for digit, (x1, y1, x2, y2), _ in digits:
        item = ET.SubElement(root, 'object')
        _add(item, name=DIGIT_CLASSES[digit], pose='Unspecified', truncated=0, difficult=0)
        _add(ET.SubElement(item, 'bndbox'), xmin=x1 + 1, ymin=y1 + 1, xmax=x2 + 1, ymax=y2 + 1)
    ET.indent(root)
    return ET.ElementTree(root)


def _add(parent: ET.Element, **children: Union[str, int]) -> None:
    for tag, value in children.items():
        ET.SubElement(parent, tag).text = str(value)

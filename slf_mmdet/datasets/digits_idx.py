"""Single handwritten digits of 28 x 28 pixels in the files of MNIST, from scikit-learn's scans, without a download.

Whatever reads MNIST reads them. Each image is one of the scans that digits-VOC is drawn from, enlarged and slanted at
random, in white on black. Training and test images show different scans.
"""

import contextlib
import struct
from pathlib import Path
from typing import Tuple, Union

import numpy as np
from sklearn.datasets import load_digits

from ..utils.checks import is_count, require
from ..utils.files import whole_file
from .digits_drawing import enlarge
from .digits_voc import split_scans

SIDE = 28
SCAN_SIDES = (18, 22)  # smallest and largest side of an enlarged scan, in pixels
IMAGES, LABELS = 0x803, 0x801  # magic numbers: unsigned bytes in three dimensions, or in one


def build_digits_idx(out_dir: Union[str, Path], num_train: int = 20000, num_test: int = 5000, seed: int = 0) -> Path:
    """Writes the four files; the same parameters give the same bytes, with the same versions of NumPy and OpenCV.

    Args:
        out_dir: folder of the files.
        num_train: training images, >= 1.
        num_test: test images, >= 1.
        seed: >= 0, of everything random.

    Returns:
        The absolute path of ``out_dir``.

    Raises:
        ValueError: a parameter is out of its range.
        FileExistsError: there is such a file already; it may be MNIST itself.
    """
    for name, value, least in (('num_train', num_train, 1), ('num_test', num_test, 1), ('seed', seed, 0)):
        require(is_count(value, least), 'digits_idx', name, f'an integer >= {least}', value)
    out_dir = Path(out_dir).absolute()
    there = sorted(path.name for path in out_dir.glob('*-ubyte*'))
    if there:
        raise FileExistsError(f'{out_dir} holds {there}. Nothing was changed: name another folder, or remove these.')
    out_dir.mkdir(parents=True, exist_ok=True)
    contents = {}
    for stream, (split, name, count) in enumerate((('trainval', 'train', num_train), ('test', 't10k', num_test))):
        images, labels = _draw(split, count, np.random.default_rng([seed, stream]))
        head = struct.pack('>4i', IMAGES, *images.shape)
        contents[f'{name}-images-idx3-ubyte'] = head + images.tobytes()
        contents[f'{name}-labels-idx1-ubyte'] = struct.pack('>2i', LABELS, count) + labels.tobytes()
    with contextlib.ExitStack() as stack:  # no file has its name before all are written
        for file, content in contents.items():
            stack.enter_context(whole_file(out_dir / file)).write_bytes(content)
    return out_dir


def _draw(split: str, count: int, rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Images ``(count, 28, 28)`` and labels ``(count,)``, uint8."""
    scans = load_digits()
    picked = rng.choice(split_scans(split), count)
    images = np.zeros((count, SIDE, SIDE), np.uint8)
    for image, scan in zip(images, scans.images[picked]):
        ink = enlarge(scan / 16.0, int(rng.integers(SCAN_SIDES[0], SCAN_SIDES[1] + 1)), rng)
        top, left = ((SIDE - side) // 2 for side in ink.shape)
        image[top : top + ink.shape[0], left : left + ink.shape[1]] = (255 * ink).round()
    return images, scans.target[picked].astype(np.uint8)

"""Reads darknet's weight files of YOLOv1 into state dicts of our modules.

The format, after ``load_weights`` in darknet's ``src/parser.c`` (https://github.com/pjreddie/darknet):
a header, then the layers one after the other as little-endian float32, with nothing between them.

=========== ======================================================================================
header      int32 major, minor, revision; images seen, uint64 if 10 * major + minor >= 2 and both
            are below 1000, else int32
convolution bias (n); scale, mean and variance (n each) if batch-normalised; weight (n, c, k, k)
local       bias (n, H, W); weight (H * W, n, c * k * k)
connected   bias (out); weight (out, in), or (in, out) if major or minor exceeds 1000
=========== ======================================================================================

The file names neither its network nor its layers: only its size can be checked.
"""

import contextlib
import math
import os
import struct
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import torch
from mmdet.datasets import VOCDataset
from torch import Tensor

from .backbones.yolov1_darknet import ARCHS

FLOAT_BYTES = 4
IMAGENET_CLASSES = 1000


class Header(NamedTuple):
    """Header of a weight file."""

    version: tuple[int, int, int]
    images_seen: int
    size: int

    @property
    def is_transposed(self) -> bool:
        """Whether connected layers are stored (in, out)."""
        return max(self.version[:2]) > 1000


class Array(NamedTuple):
    """One array of the file: its key in the state dict (empty: it is skipped) and its shape."""

    key: str
    shape: tuple[int, ...]
    may_be_transposed: bool = False


class Grid(NamedTuple):
    """Output of a YOLOv1: ``boxes`` B and ``classes`` C in each of ``size`` S x S cells."""

    size: int
    boxes: int
    classes: int


class Layout(NamedTuple):
    """The arrays of a network in the order of the file; ``grid`` if it ends in detections."""

    name: str
    arrays: list[Array]
    grid: Optional[Grid] = None

    @property
    def num_bytes(self) -> int:
        """Size of the file without its header."""
        return FLOAT_BYTES * sum(math.prod(array.shape) for array in self.arrays)


def convolutions(arch: str, prefix: str = '', batch_norm: bool = True) -> list[Array]:
    """Arrays of the convolutions of a :class:`YOLOV1Darknet`, under its keys."""
    arrays = []
    in_channels = 3
    for i, spec in enumerate(ARCHS[arch]):
        key = f'{prefix}layers.{i}'
        channels = (spec.out_channels,)
        if batch_norm:
            for name in ('bias', 'weight', 'running_mean', 'running_var'):
                arrays.append(Array(f'{key}.bn.{name}', channels))
        else:
            arrays.append(Array(f'{key}.conv.bias', channels))
        shape = (spec.out_channels, in_channels, spec.kernel_size, spec.kernel_size)
        arrays.append(Array(f'{key}.conv.weight', shape))
        in_channels = spec.out_channels
    return arrays


def local(key: str, in_channels: int, out_channels: int, size: int) -> list[Array]:
    """Arrays of a 3x3 :class:`LocallyConnected2d` on a map of ``size`` x ``size``."""
    return [
        Array(f'{key}.bias', (out_channels, size, size)),
        Array(f'{key}.weight', (size, size, out_channels, in_channels, 3, 3)),
    ]


def connected(key: str, in_features: int, out_features: int) -> list[Array]:
    """Arrays of an ``nn.Linear``."""
    return [
        Array(f'{key}.bias', (out_features,)),
        Array(f'{key}.weight', (out_features, in_features), may_be_transposed=True),
    ]


def extraction_layouts() -> list[Layout]:
    """The ImageNet classifier whose 20 convolutions YOLO starts from, with and without its last layer.

    That layer is skipped: a connected one, or in later versions a 1x1 convolution of as many
    parameters.
    """
    features = ARCHS['extraction'][-1].out_channels
    classifier = [Array('', (IMAGENET_CLASSES,)), Array('', (IMAGENET_CLASSES, features))]
    layouts = []
    for norm, batch_norm in (('batch-normalised', True), ('biased', False)):
        arrays = convolutions('extraction', batch_norm=batch_norm)
        layouts += [
            Layout(f'20 {norm} convolutions', arrays),
            Layout(f'20 {norm} convolutions and a classifier', arrays + classifier),
        ]
    return layouts


def detector_layout(arch: str, grid: Grid, local_channels: Optional[int] = None) -> Layout:
    """A detector: batch-normalised convolutions, perhaps a local layer, and a connected one.

    Args:
        arch: Layer table of the backbone, one of :data:`ARCHS`.
        grid: What the last layer predicts.
        local_channels: Channels of the local layer; ``None``: the network has none.

    Returns:
        The layout, with the keys of a :class:`YOLOV1` whose :class:`YOLOV1Head` has
        ``head_type='local'`` or, without a local layer, ``'fc'`` and ``hidden_channels=()``.
    """
    arrays = convolutions(arch, prefix='backbone.')
    channels = ARCHS[arch][-1].out_channels
    last = 'bbox_head.layers.1'
    if local_channels is not None:
        arrays += local('bbox_head.layers.0', channels, local_channels, grid.size)
        channels = local_channels
        last = 'bbox_head.layers.4'
    cells = grid.size**2
    arrays += connected(last, channels * cells, (5 * grid.boxes + grid.classes) * cells)
    name = f'{arch}, {grid.boxes} boxes and {grid.classes} classes in {grid.size}x{grid.size} cells'
    return Layout(name, arrays, grid)


# Kind of file -> its possible layouts, given the number of classes of a detector
KINDS: dict[str, Callable[[int], list[Layout]]] = {
    'extraction': lambda num_classes: extraction_layouts(),
    'yolov1': lambda num_classes: [detector_layout('yolo', Grid(7, 3, num_classes), local_channels=256)],
    'tiny-yolov1': lambda num_classes: [detector_layout('tiny', Grid(7, 2, num_classes))],
}


def read_header(path: str) -> Header:
    """Reads the header of a weight file.

    Raises:
        ValueError: The file is too short to have one.
    """
    with open(path, 'rb') as file:
        start = file.read(20)
    if len(start) < 20:
        raise ValueError(f'{path}: {len(start)} bytes are too few for a darknet weight file.')
    major, minor, revision = struct.unpack_from('<3i', start)
    is_wide = 10 * major + minor >= 2 and max(major, minor) < 1000
    (seen,) = struct.unpack_from('<Q' if is_wide else '<i', start, 12)
    return Header((major, minor, revision), seen, 20 if is_wide else 16)


def read_weights(path: str, layouts: Sequence[Layout]) -> tuple[dict[str, Tensor], Layout, Header]:
    """Reads a weight file into a state dict.

    Args:
        path: The file.
        layouts: The possible ones; the one of the size of the file is used.

    Returns:
        The state dict, the layout that fits, and the header.

    Raises:
        ValueError: The file has the size of none of the layouts.
    """
    header = read_header(path)
    size = os.path.getsize(path)
    fitting = [layout for layout in layouts if layout.num_bytes == size - header.size]
    if not fitting:
        expected = '; '.join(f'{header.size + layout.num_bytes:,} for {layout.name}' for layout in layouts)
        raise ValueError(
            f'{path}: has {size:,} bytes, expected {expected}. It is truncated, or it belongs to another network.'
        )
    layout = fitting[0]
    numbers = np.memmap(path, dtype='<f4', mode='r', offset=header.size)
    state = {}
    position = 0
    for array in layout.arrays:
        count = math.prod(array.shape)
        values = numbers[position : position + count]
        position += count
        if not array.key:
            continue
        if array.may_be_transposed and header.is_transposed:
            values = values.reshape(array.shape[::-1]).T
        values = np.array(values.reshape(array.shape), dtype=np.float32, order='C')
        state[array.key] = torch.from_numpy(values)
    return state, layout, header


def output_order(grid: Grid) -> Tensor:
    """Permutation from the output of darknet's last layer to that of our head.

    darknet outputs, cell after cell, first all class scores, then the confidences of all boxes,
    then the (x, y, w, h) of all boxes (``src/detection_layer.c``). Our head outputs a map
    (5B + C, S, S) with channels B times (x, y, w, h, confidence), then the C scores.

    Returns:
        int64 tensor of S * S * (5B + C) indices into darknet's output.
    """
    size, boxes, classes = grid
    cells = size**2
    index = torch.arange(cells * (classes + 5 * boxes))
    scores, confidences, coordinates = index.split([cells * classes, cells * boxes, cells * boxes * 4])
    by_box = torch.cat([coordinates.view(cells, boxes, 4), confidences.view(cells, boxes, 1)], dim=2)
    by_cell = torch.cat([by_box.view(cells, 5 * boxes), scores.view(cells, classes)], dim=1)
    return by_cell.t().flatten()


def convert_weights(path: str, layouts: Sequence[Layout]) -> dict[str, Any]:
    """Converts a darknet weight file into an mmengine checkpoint.

    darknet's networks read RGB images divided by 255 and stretched to 448x448.

    Args:
        path: The weight file.
        layouts: The possible ones, see :data:`KINDS`.

    Returns:
        ``state_dict``: for ``init_cfg=dict(type='Pretrained', ...)`` of :class:`YOLOV1Darknet`, or
        with a grid for ``load_from`` of a detector. ``meta``: its origin.

    Raises:
        ValueError: The file has the size of none of the layouts.
    """
    state, layout, header = read_weights(path, layouts)
    meta: dict[str, Any] = {
        'converted_from': os.path.basename(path),
        'layout': layout.name,
        'darknet_version': '.'.join(map(str, header.version)),
        'images_seen': header.images_seen,
    }
    if layout.grid is not None:
        order = output_order(layout.grid)
        for array in layout.arrays[-2:]:  # bias and weight of the last layer
            state[array.key] = state[array.key][order]
        if layout.grid.classes == len(VOCDataset.METAINFO['classes']):
            meta['dataset_meta'] = dict(VOCDataset.METAINFO)
    return {'state_dict': state, 'meta': meta}


def save_checkpoint(checkpoint: dict[str, Any], path: str) -> None:
    """Saves a checkpoint atomically: ``path`` never holds a partial file."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    unfinished = f'{path}.{os.getpid()}.tmp'
    try:
        torch.save(checkpoint, unfinished)
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(unfinished)

"""Writes small PASCAL VOC folders, good and bad ones."""

import os
import tarfile
from pathlib import Path
from typing import Any, Optional, Sequence, Tuple

import numpy as np
import pytest
from PIL import Image

SHARED = Path(os.environ.get('SLF_SHARED', Path(__file__).parents[3] / 'shared'))


class VOCWriter:
    """A devkit at ``root`` with one year's folder, to which images are added one by one."""

    def __init__(self, root: Path, year: str = 'VOC2007') -> None:
        self.root = root
        self.voc = root / year
        for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
            (self.voc / folder).mkdir(parents=True)
        for split in ('trainval', 'test'):
            self.list_path(split).touch()

    def list_path(self, split: str = 'trainval') -> Path:
        return self.voc / 'ImageSets' / 'Main' / f'{split}.txt'

    def image_path(self, image_id: str, suffix: str = '.jpg') -> Path:
        return self.voc / 'JPEGImages' / (image_id + suffix)

    def xml_path(self, image_id: str) -> Path:
        return self.voc / 'Annotations' / f'{image_id}.xml'

    def add(
        self,
        image_id: str,
        *objects: str,
        split: str = 'trainval',
        size: Tuple[int, int] = (40, 30),
        size_xml: Optional[str] = None,
        suffix: str = '.jpg',
    ) -> None:
        """Adds an image of (width, height) pixels and its annotation; see :func:`voc_object`."""
        if size_xml is None:
            size_xml = f'<size><width>{size[0]}</width><height>{size[1]}</height></size>'
        pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(self.image_path(image_id, suffix))
        xml = f'<annotation>{size_xml}{"".join(objects)}</annotation>'
        self.xml_path(image_id).write_text(xml)
        with self.list_path(split).open('a') as ids:
            ids.write(f'{image_id}\n')

    def kwargs(self, split: str = 'trainval') -> dict:
        """Arguments of a data set class."""
        return dict(
            data_root=str(self.root),
            ann_file=f'{self.voc.name}/ImageSets/Main/{split}.txt',
            data_prefix=dict(sub_data_root=f'{self.voc.name}/'),
        )


def voc_object(name: str, box: Sequence[Any] = (5, 5, 20, 20), difficult: Any = 0) -> str:
    corners = ''.join(f'<{tag}>{value}</{tag}>' for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box))
    return f'<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>'


@pytest.fixture
def voc(tmp_path):
    return VOCWriter(tmp_path / 'VOCdevkit')


@pytest.fixture
def make_voc(tmp_path):
    return lambda folder, year='VOC2007': VOCWriter(tmp_path / folder, year)


@pytest.fixture
def obj():
    return voc_object


@pytest.fixture
def real_set(tmp_path):
    """Unpacks one of the optional real data sets and returns its VOCdevkit."""

    def unpack(name: str) -> Path:
        archive = next((p for p in (SHARED / 'data' / name, SHARED / name) if p.is_file()), None)
        if archive is None:
            pytest.skip(f'{name} is absent: set SLF_SHARED to the folder that holds data/{name}')
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path, filter='data')
        return tmp_path / 'VOCdevkit'

    return unpack

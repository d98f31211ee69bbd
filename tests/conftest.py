import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # helpers.py

from mmdet.utils import register_all_modules

import slf_mmdet  # noqa: F401  registers everything, and makes mmdet importable

register_all_modules()  # the default scope is mmdet, as in a run


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """A folder with ``data/digits_voc``: a few images of the demo's data set, laid out as the configs expect."""
    from slf_mmdet.datasets.digits_voc import build_digits_voc

    root = tmp_path_factory.mktemp('digits')
    build_digits_voc(root / 'data' / 'digits_voc', num_train=64, num_test=16)
    return root

"""``pkgutil.find_loader``, which Python 3.14 does not have."""

import json

from slf_mmdet.compat.find_loader import find_loader

from ..interpreters import run_forked


def test_as_it_was():
    assert find_loader('json') is json.__spec__.loader
    assert find_loader('no_such_module') is None and find_loader('no_such_package.module') is None


def test_what_mmengine_and_mmcv_ask():
    code = """
import pkgutil
if hasattr(pkgutil, 'find_loader'): del pkgutil.find_loader
import slf_mmdet
from mmcv.utils.ext_loader import check_ops_exist
from mmengine.utils.dl_utils import mmcv_full_available
print('answers:', check_ops_exist(), mmcv_full_available())
"""
    assert 'answers: True True' in run_forked('-c', code).stdout  # the stand-in for the ops is found

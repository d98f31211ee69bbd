"""Tests a detector: mmdet's own tools/test.py, run after slf_mmdet is imported. Same arguments."""

import runpy

from slf_mmdet.paths import get_mmdet_tool

if __name__ == '__main__':
    runpy.run_path(get_mmdet_tool('test.py'), run_name='__main__')

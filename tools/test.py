"""Tests a detector: mmdet's own tools/test.py, run after slf_mmdet is imported. Same arguments."""

import runpy

from slf_mmdet.paths import get_mmdet_tool
from slf_mmdet.utils.tool_errors import user_errors

if __name__ == '__main__':
    with user_errors('test'):
        runpy.run_path(get_mmdet_tool('test.py'), run_name='__main__')

"""Tests a detector: mmdet's own tools/test.py, run after slf_mmdet is imported. Same arguments."""

import sys

from slf_mmdet.commands.test import main

if __name__ == '__main__':
    sys.exit(main())

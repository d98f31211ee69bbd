"""Trains a detector: mmdet's own tools/train.py, run after slf_mmdet is imported. Same arguments."""

import sys

from slf_mmdet.commands.train import main

if __name__ == '__main__':
    sys.exit(main())

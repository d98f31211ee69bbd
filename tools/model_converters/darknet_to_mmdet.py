"""Converts YOLOv1 weights of darknet into a checkpoint of this project: ``slf-mmdet convert``."""

import sys

from slf_mmdet.commands.convert import main

if __name__ == '__main__':
    sys.exit(main())

"""Draws test images with predicted and ground-truth boxes: ``slf-mmdet draw``."""

import sys

from slf_mmdet.commands.draw import main

if __name__ == '__main__':
    sys.exit(main())

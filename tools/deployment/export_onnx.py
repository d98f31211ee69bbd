"""Exports a YOLOv1 detector to ONNX: ``slf-mmdet export``."""

import sys

from slf_mmdet.commands.export import main

if __name__ == '__main__':
    sys.exit(main())

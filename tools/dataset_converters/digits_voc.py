"""Builds digits-VOC: ``slf-mmdet digits``."""

import sys

from slf_mmdet.commands.digits import main

if __name__ == '__main__':
    sys.exit(main())

"""Checks all data of a config before a training: ``slf-mmdet check``."""

import sys

from slf_mmdet.commands.check import main

if __name__ == '__main__':
    sys.exit(main())

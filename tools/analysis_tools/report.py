"""Writes the report of a run: ``slf-mmdet report``."""

import sys

from slf_mmdet.commands.report import main

if __name__ == '__main__':
    sys.exit(main())

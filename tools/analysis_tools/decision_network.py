"""Draws what a decision network learned: ``slf-mmdet decisions``."""

import sys

from slf_mmdet.commands.decisions import main

if __name__ == '__main__':
    sys.exit(main())

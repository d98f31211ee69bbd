"""Plots loss weights and losses of one or several runs: ``slf-mmdet plot``."""

import sys

from slf_mmdet.commands.plot import main

if __name__ == '__main__':
    sys.exit(main())

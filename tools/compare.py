"""Compares balancers, configs or options over seeds, and prints a table: ``slf-mmdet compare``."""

import sys

from slf_mmdet.commands.compare import main

if __name__ == '__main__':
    sys.exit(main())

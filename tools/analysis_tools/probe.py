"""Says what SLF would do with a detector: ``slf-mmdet probe``."""

import sys

from slf_mmdet.commands.probe import main

if __name__ == '__main__':
    sys.exit(main())

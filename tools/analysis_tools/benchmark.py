"""Images per second of detectors at batch size 1: ``slf-mmdet benchmark``."""

import sys

from slf_mmdet.commands.benchmark import main

if __name__ == '__main__':
    sys.exit(main())

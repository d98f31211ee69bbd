"""Publishes a training checkpoint: ``slf-mmdet publish``."""

import sys

from slf_mmdet.commands.publish import main

if __name__ == '__main__':
    sys.exit(main())

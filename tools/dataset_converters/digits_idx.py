"""Writes digits in the files of MNIST: ``slf-mmdet digits_idx``."""

import sys

from slf_mmdet.commands.digits_idx import main

if __name__ == '__main__':
    sys.exit(main())

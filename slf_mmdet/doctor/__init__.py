"""What an installation of mmdet, mmcv and torch is made of, which known traps it has, and what helps.

Run it with ``python -m slf_mmdet.doctor``.
"""

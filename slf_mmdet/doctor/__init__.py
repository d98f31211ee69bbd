"""Versions in an installation of mmdet, mmcv and torch, its known issues, and their fixes.

Run it with ``python -m slf_mmdet.doctor``.
"""

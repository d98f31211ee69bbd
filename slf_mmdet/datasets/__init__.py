"""Data sets: PASCAL VOC folders, checked when they are loaded, and a small set to build."""

from .voc import BadDataError, CheckedVOCDataset, Finding

# digits_voc is imported where it is used: it needs scikit-learn, which training does not.
__all__ = ['BadDataError', 'CheckedVOCDataset', 'Finding']

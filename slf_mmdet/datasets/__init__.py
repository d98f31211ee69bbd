"""Data sets: PASCAL VOC folders, checked when they are loaded, any set made imbalanced, and a small set to build."""

from .class_imbalanced import ClassImbalancedDataset
from .voc import BadDataError, CheckedVOCDataset, Finding

# digits_voc is imported where it is used: it needs scikit-learn, which training does not.
__all__ = ['BadDataError', 'CheckedVOCDataset', 'ClassImbalancedDataset', 'Finding']

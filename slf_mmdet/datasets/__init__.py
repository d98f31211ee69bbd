"""Data sets: PASCAL VOC folders, checked when they are loaded; any set made imbalanced or split; a set to build."""

from .class_imbalanced import ClassImbalancedDataset
from .held_out_split import HeldOutSplit
from .shuffle_instances import ShuffleInstances
from .voc import BadDataError, CheckedVOCDataset, Finding

# digits_voc is imported where it is used: it needs scikit-learn, which training does not.
__all__ = ['BadDataError', 'CheckedVOCDataset', 'ClassImbalancedDataset', 'Finding', 'HeldOutSplit', 'ShuffleInstances']

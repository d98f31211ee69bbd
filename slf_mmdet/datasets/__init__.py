"""Data sets: VOC folders and COCO json, checked when loaded; any set made imbalanced or split; one to build."""

from .class_imbalanced import ClassImbalancedDataset
from .coco import CheckedCocoDataset
from .findings import BadDataError, Finding
from .held_out_split import HeldOutSplit
from .merge_foreground import MergeForeground
from .shuffle_instances import ShuffleInstances
from .voc import CheckedVOCDataset

# digits_voc is imported where it is used: it needs scikit-learn, which training does not.
__all__ = [
    'BadDataError',
    'CheckedCocoDataset',
    'CheckedVOCDataset',
    'ClassImbalancedDataset',
    'Finding',
    'HeldOutSplit',
    'MergeForeground',
    'ShuffleInstances',
]

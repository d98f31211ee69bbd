"""Data sets: VOC folders, COCO json and molecules, checked when loaded; any set made imbalanced or split; one built."""

from .class_imbalanced import ClassImbalancedDataset
from .coco import CheckedCocoDataset
from .findings import BadDataError, Finding
from .held_out_split import HeldOutSplit
from .merge_foreground import MergeForeground
from .molecules import MoleculeDataset
from .pack_features import PackFeatures
from .parallel_text import ParallelTextDataset
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
    'MoleculeDataset',
    'PackFeatures',
    'ParallelTextDataset',
    'ShuffleInstances',
]

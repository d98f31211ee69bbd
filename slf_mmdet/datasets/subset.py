"""A part of a data set that still answers what training asks of it."""

import copy
from typing import Any, List, Sequence, Union

from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset
from torch.utils.data import Subset


class DatasetSubset(Subset):
    """Some of the images of a data set of mmdet or mmpretrain.

    Args:
        dataset: a built data set, fully initialised.
        indices: of the images.
    """

    dataset: Any
    indices: List[int]

    def __init__(self, dataset: BaseDataset, indices: Sequence[int]) -> None:
        super().__init__(dataset, list(indices))

    def full_init(self) -> None:
        """For wrappers; the data set is initialised already."""

    @property
    def metainfo(self) -> dict:
        """That of the data set."""
        return copy.deepcopy(self.dataset.metainfo)

    def get_data_info(self, idx: int) -> dict:
        """What is known of an image, without its pipeline."""
        return self.dataset.get_data_info(self.indices[idx])

    def get_cat_ids(self, idx: int) -> List[int]:
        """Classes of an image."""
        return self.dataset.get_cat_ids(self.indices[idx])


def built(dataset: Union[BaseDataset, dict]) -> Any:
    """A data set, built where it is a config, and fully initialised."""
    found = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    found.full_init()
    return found

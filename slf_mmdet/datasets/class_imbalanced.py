"""A data set made imbalanced, as in Xie, Girshick and Farhadi (ICML 2016), whom Liu and Lai (AAAI 2020) follow."""

from typing import Union

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset

from ..utils.checks import is_count, is_number, require
from .subset import DatasetSubset, built


@DATASETS.register_module()
class ClassImbalancedDataset(DatasetSubset):
    r"""Keeps images of the first class with probability r, of the last one all, of those between in proportion.

    Class c of C is retained with the rate :math:`r + (1 - r)\,c / (C - 1)`. An image with several classes is kept with
    the mean of their rates, each class counted once; one without an object is kept.

    Each image has one random number, which the seed decides: the same seed keeps the same images, and of two rates the
    smaller one keeps a part of what the larger one keeps. For training data, of any data set of mmdet or mmpretrain::

        train_dataloader = dict(
            dataset=dict(
                _delete_=True,
                type='mmdet.ClassImbalancedDataset',
                min_retention=0.1,
                dataset=_base_.train_dataloader.dataset,
            )
        )

    Args:
        dataset: the data set or its config.
        min_retention: r, the minimum retention rate, in (0, 1].
        seed: of what is kept.

    Attributes:
        retention_rates: of each class, ``(C,)``.

    Raises:
        TypeError: the data set cannot tell the classes of an image; a concatenation for instance, whose members are to
            be wrapped one by one.
        ValueError: a setting is out of its range, the data set names fewer than two classes, or no image is kept.
    """

    def __init__(self, dataset: Union[BaseDataset, dict], min_retention: float, seed: int = 0) -> None:
        owner = type(self).__name__
        right = is_number(min_retention, 0, 1) and min_retention > 0
        require(right, owner, 'min_retention', 'in (0, 1]', min_retention, '1 keeps all images.')
        require(is_count(seed, 0), owner, 'seed', 'an integer >= 0', seed)
        dataset = built(dataset)
        inner = type(dataset).__name__
        if not hasattr(dataset, 'get_cat_ids'):
            raise TypeError(
                f'{owner}: {inner} has no get_cat_ids, which tells the classes of an image. Wrap a data set of mmdet '
                'or mmpretrain; of a concatenation, each member.'
            )
        classes = dataset.metainfo.get('classes') or ()
        require(len(classes) > 1, owner, f"metainfo['classes'] of {inner}", 'at least two class names', classes)
        self.retention_rates = np.linspace(min_retention, 1, len(classes))
        numbers = np.random.default_rng(seed).random(len(dataset))
        kept = [number < self._rate(dataset, index) for index, number in enumerate(numbers)]
        super().__init__(dataset, np.flatnonzero(kept).tolist())
        if not self.indices:
            raise ValueError(
                f'{owner}: min_retention={min_retention} keeps none of the {len(dataset)} images of {inner}. '
                'Raise it, or take more images.'
            )

    def _rate(self, dataset: BaseDataset, index: int) -> float:
        classes = sorted(set(dataset.get_cat_ids(index)))
        return float(self.retention_rates[classes].mean()) if classes else 1.0

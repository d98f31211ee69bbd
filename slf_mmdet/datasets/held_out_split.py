"""A training set without the images that are held out, or these alone."""

from typing import Optional, Sequence, Union

import numpy as np
from mmdet.datasets import MultiImageMixDataset
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset, ClassBalancedDataset, RepeatDataset

from ..utils.checks import is_count, is_share, require
from .subset import DatasetSubset, built

PARTS = ('train', 'held_out')
SHARING = (MultiImageMixDataset, RepeatDataset, ClassBalancedDataset)  # several of their items see one image


@DATASETS.register_module()
class HeldOutSplit(DatasetSubset):
    """Splits a data set in two at random: images to train with, and images that are held out, for validation.

    The same data set, share and seed give the same split, so that two configs share it without a file::

        split = dict(type='HeldOutSplit', dataset=_base_.train_dataloader.dataset, share=0.1)
        train_dataloader = dict(dataset=dict(split, _delete_=True, part='train'))

    and ``dict(split, part='held_out')`` for :class:`~slf_mmdet.slf.ValidationSignal`, a tuning of weights, or the
    choice of a checkpoint.

    Args:
        dataset: the data set or its config.
        share: of the images that are held out, in (0, 1); at least one image, and not all.
        part: ``'train'`` or ``'held_out'``.
        pipeline: replaces that of the data set, which must be a config then: without augmentation, for validation.
        seed: >= 0, of the split.

    Raises:
        ValueError: a setting is out of its range, the data set has fewer than two images, or it is a wrapper that
            repeats or mixes images, so that parts of it would share some: split the data set inside it.
    """

    def __init__(
        self,
        dataset: Union[BaseDataset, dict],
        share: float = 0.1,
        part: str = 'train',
        seed: int = 0,
        pipeline: Optional[Sequence[dict]] = None,
    ) -> None:
        owner = type(self).__name__
        require(is_share(share), owner, 'share', 'in (0, 1)', share)
        require(part in PARTS, owner, 'part', f'one of {list(PARTS)}', part)
        require(is_count(seed, 0), owner, 'seed', 'an integer >= 0', seed)
        if pipeline is not None:
            right = isinstance(dataset, dict) and 'pipeline' in dataset
            require(right, owner, 'dataset', 'a config with a pipeline, where pipeline is given', dataset)
            dataset = {**dataset, 'pipeline': list(pipeline)}
        dataset = built(dataset)
        right = not isinstance(dataset, SHARING)
        wanted = 'one whose items are images of their own: split the data set inside it instead'
        require(right, owner, 'dataset', wanted, type(dataset).__name__)
        total = len(dataset)
        require(total > 1, owner, f'the number of images of {type(dataset).__name__}', '>= 2', total)
        held_out = min(max(1, round(share * total)), total - 1)
        order = np.random.default_rng(seed).permutation(total)
        chosen = order[:held_out] if part == 'held_out' else order[held_out:]
        super().__init__(dataset, sorted(chosen.tolist()))

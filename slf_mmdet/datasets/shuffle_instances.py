"""Random order of an image's objects, for losses in which the order decides."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

_KEYS = ('gt_bboxes', 'gt_bboxes_labels', 'gt_masks', 'gt_ignore_flags')


@TRANSFORMS.register_module()
class ShuffleInstances(BaseTransform):
    """Shuffles the objects of an image, in training, every time that it is loaded.

    Of several objects whose centres are in one cell, :class:`~slf_mmdet.models.YOLOV1Head` trains on the first one
    listed. Without this step that is the same one in every epoch, and the others are never targets. With it each of
    them is equally likely, as in darknet, which shuffles the boxes when it reads them.

    It draws from NumPy's global generator, as mmdet's augmentation does; with
    :class:`~slf_mmdet.hooks.RandomStateHook` a resumed run draws what the uninterrupted one would have drawn. To be
    placed before ``PackDetInputs``.

    Required and modified keys: ``gt_bboxes``; ``gt_bboxes_labels``, ``gt_masks`` and ``gt_ignore_flags`` where present.
    """

    def transform(self, results: dict) -> dict:
        order = self._order(len(results['gt_bboxes']))
        for key in _KEYS:
            if key in results:
                results[key] = results[key][order]
        return results

    @cache_randomness
    def _order(self, count: int) -> np.ndarray:
        return np.random.permutation(count)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'

"""Maps of classes in which only background and foreground are distinguished."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MergeForeground(BaseTransform):
    """Makes class 1 of all classes of a map of pixels but the background, class 0, and pixels that do not count.

    To be placed after ``LoadAnnotations`` with ``with_seg=True``.
    """

    def transform(self, results: dict) -> dict:
        classes = results['gt_seg_map']
        foreground = (classes != 0) & (classes != results['ignore_index'])
        return dict(results, gt_seg_map=np.where(foreground, 1, classes).astype(classes.dtype))

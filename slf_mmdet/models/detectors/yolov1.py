"""YOLO, version 1 (Redmon et al., "You Only Look Once", CVPR 2016)."""

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS


@MODELS.register_module()
class YOLOV1(SingleStageDetector):
    """A backbone and a :class:`YOLOV1Head`, which sees the whole image for every cell.

    Takes the arguments of mmdet's ``SingleStageDetector``; ``neck`` is normally left out.
    """

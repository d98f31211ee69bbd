"""YOLO, version 1 (Redmon et al., "You Only Look Once", CVPR 2016)."""

from typing import Any, Dict, Mapping

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor

from .predict_boxes import evaluating


@MODELS.register_module()
class YOLOV1(SingleStageDetector):
    """A backbone and a :class:`YOLOV1Head`, which sees the whole image for every cell.

    Takes the arguments of mmdet's ``SingleStageDetector``; ``neck`` is normally left out.
    """

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """Computes the balanced loss, see :meth:`YOLOV1Head.loss_by_feat`.

        Args:
            batch_inputs: ``(N, 3, H, W)``.
            batch_data_samples: per image its ground truth.
        """
        return self.bbox_head.loss(self.extract_feat(batch_inputs), batch_data_samples, quality_of=self.quality_of)

    def quality_of(self, data: Mapping[str, Any]) -> Tensor:
        """Soft average precision of the detections of a batch of a data loader, a scalar with its graph."""
        data = self.data_preprocessor(data, False)
        with evaluating(self):
            return self.bbox_head.quality(self.extract_feat(data['inputs']), data['data_samples'])

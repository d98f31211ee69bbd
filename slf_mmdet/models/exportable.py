"""A YOLOv1 detector as one function of tensors, for exporters such as ONNX."""

from typing import Tuple

from mmdet.models.detectors import SingleStageDetector
from torch import Tensor, nn

from .heads import YOLOV1Head


class ExportableYOLOV1(nn.Module):
    """From pixels to boxes and scores: normalisation, network and decoding, without NMS.

    Shapes are fixed, and there is no control flow that depends on values, so that every runtime can run it. NMS is left
    to the caller.

    Args:
        detector: with a :class:`~slf_mmdet.models.heads.YOLOV1Head`.

    Raises:
        ValueError: the detector has another head.
    """

    def __init__(self, detector: SingleStageDetector) -> None:
        super().__init__()
        head = getattr(detector, 'bbox_head', None)
        if not isinstance(head, YOLOV1Head):
            found = type(detector if head is None else head).__name__
            raise ValueError(f'only a detector with a YOLOV1Head can be exported, found {found}; MMDeploy has others.')
        self.detector = detector
        self.eval()

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """Detects.

        Args:
            image: ``(N, 3, H, W)`` fp32 in [0, 255], in the order in which the config loads channels (BGR), resized to
                the network's input without regard to its aspect ratio.

        Returns:
            boxes ``(N, S * S * B, 4)``, x1, y1, x2, y2 as fractions of the image in [0, 1]; scores
            ``(N, S * S * B, C)``.
        """
        preprocessor = self.detector.data_preprocessor
        if preprocessor._channel_conversion:
            image = image.flip(1)
        if preprocessor._enable_normalize:
            image = (image - preprocessor.mean) / preprocessor.std
        head = self.detector.bbox_head
        (output,) = head(self.detector.extract_feat(image))
        boxes, scores = head.decode(output)
        return boxes.clamp(0, 1), scores

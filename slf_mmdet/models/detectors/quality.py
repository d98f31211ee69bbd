"""The detection quality of a detector, as a differentiable function."""

from typing import Any, List, Mapping, Sequence, Union

import torch
from mmdet.models.detectors import RPN, BaseDetector
from mmdet.structures import SampleList
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from ...balancers import DetectionQuality
from ...losses.soft_ap import soft_average_precision
from ...utils.numerics import at_least_fp32
from .predict_boxes import any_score, evaluating, predict_boxes

INSTEAD = (
    "Take a signal that only needs the losses: signal=dict(type='LossRate'), or dict(type='GradientAlignment', "
    "target='training_loss')."
)


def detection_quality(
    detector: BaseDetector,
    features: List[Any],
    inputs: Tensor,
    data_samples: SampleList,
    fixed_proposals: bool = False,
    iou_thr: Union[float, Sequence[float]] = 0.5,
    instead: str = INSTEAD,
) -> DetectionQuality:
    """:func:`batch_average_precision` as a function of the features that the loss of the batch was computed from.

    A model that predicts no boxes may have a quality of its own: a method ``soft_quality(features, data_samples)`` that
    returns a scalar with its graph, the higher, the better.

    Args:
        detector: of mmdet.
        features: what :func:`record_features` collected when the loss of the batch was computed; the last are used.
        inputs: ``(N, 3, H, W)``.
        data_samples: per image its ground truth.
        fixed_proposals: see :func:`~slf_mmdet.models.detectors.predict_boxes.predict_boxes`.
        iou_thr: see :func:`~slf_mmdet.losses.soft_average_precision`; without effect on a quality of its own.
        instead: what to take where it cannot be measured, for the text of an error.

    Raises:
        ValueError: the detector computed its loss without ``extract_feat``, or its detections cannot be compared with
            the ground truth.
    """
    name = type(detector).__name__
    if not features:
        raise ValueError(
            f'{name} does not call extract_feat in its loss: the features that it predicts from are not known, so its '
            f'detection quality cannot be measured. {instead}'
        )
    latest: Any = features[-1]
    one = isinstance(latest, Tensor)
    levels = [latest] if one else latest
    if not all(isinstance(level, Tensor) and len(level) == len(inputs) for level in levels):
        raise ValueError(
            f'{name}.extract_feat does not return one tensor (N, ...) for each level, so its detection quality cannot '
            f'be measured. {instead}'
        )

    def as_returned(levels: Sequence[Tensor]) -> Any:
        # balancers measure outside autocast, where fp32 layers do not accept features of lower precision
        full = tuple(at_least_fp32(level) for level in levels)
        return full[0] if one else full

    def measure(levels: Sequence[Tensor]) -> Tensor:
        return batch_average_precision(detector, as_returned(levels), inputs, data_samples, fixed_proposals, iou_thr)

    def measure_all(alternatives: Sequence[Sequence[Tensor]]) -> Tensor:
        number = len(alternatives)
        together = as_returned([torch.cat(levels) for levels in zip(*alternatives)])
        found = predict_boxes(detector, together, inputs.repeat(number, 1, 1, 1), list(data_samples) * number)
        return torch.stack(
            [
                _average_precision(detector, found[len(inputs) * i : len(inputs) * (i + 1)], data_samples, iou_thr)
                for i in range(number)
            ]
        )

    if hasattr(detector, 'soft_quality'):
        return DetectionQuality(lambda levels: detector.soft_quality(as_returned(levels), data_samples), levels)
    _check_once(detector, as_returned(levels), inputs, data_samples, instead)
    return DetectionQuality(measure, levels, measure_all=measure_all)


def quality_of(detector: BaseDetector, data: Mapping[str, Any]) -> Tensor:
    """The quality of a batch of a data loader, as in :func:`detection_quality`, with a graph to the parameters."""
    data = detector.data_preprocessor(data, False)
    with evaluating(detector):
        features = detector.extract_feat(data['inputs'])
    if hasattr(detector, 'soft_quality'):
        return detector.soft_quality(features, data['data_samples'])
    _check_once(detector, features, data['inputs'], data['data_samples'])
    return batch_average_precision(detector, features, data['inputs'], data['data_samples'])


def batch_average_precision(
    detector: BaseDetector,
    features: Any,
    inputs: Tensor,
    data_samples: SampleList,
    fixed_proposals: bool = False,
    iou_thr: Union[float, Sequence[float]] = 0.5,
) -> Tensor:
    """Soft average precision of the detections of a batch.

    The heads predict from given features, see :func:`predict_boxes`. Detections below the score threshold of the
    detector's ``test_cfg`` do not count. Proposals of an RPN count without regard to the class.

    Args:
        detector: of mmdet.
        features: what ``extract_feat`` of the detector returns: a tensor, or a sequence of them.
        inputs: ``(N, 3, H, W)``.
        data_samples: per image its ground truth.
        fixed_proposals: see :func:`~slf_mmdet.models.detectors.predict_boxes.predict_boxes`.
        iou_thr: see :func:`~slf_mmdet.losses.soft_average_precision`.

    Returns:
        A scalar in [0, 1]; where gradients are enabled its graph goes back to the features, see
        :func:`~slf_mmdet.losses.soft_average_precision`.
    """
    found = predict_boxes(detector, features, inputs, data_samples, fixed_proposals)
    precision = _average_precision(detector, found, data_samples, iou_thr)
    levels = [features] if isinstance(features, Tensor) else features
    return precision + sum(0 * level.sum() for level in levels)  # a graph, even where nothing was detected


def _average_precision(
    detector: BaseDetector,
    found: List[InstanceData],
    data_samples: SampleList,
    iou_thr: Union[float, Sequence[float]] = 0.5,
) -> Tensor:
    objects = [sample.gt_instances for sample in data_samples]
    labels = torch.cat([instances.labels for instances in objects])
    boxes = torch.cat([get_box_tensor(each.bboxes) for each in found]).float()
    return soft_average_precision(
        boxes,
        torch.cat([each.scores for each in found]).float(),
        torch.cat([each.labels for each in found]),
        _image_index(found, boxes.device),
        torch.cat([get_box_tensor(instances.bboxes) for instances in objects]),
        torch.zeros_like(labels) if isinstance(detector, RPN) else labels,
        _image_index(objects, boxes.device),
        iou_thr=iou_thr,
    )


def _check_once(
    detector: BaseDetector, features: Any, inputs: Tensor, data_samples: SampleList, instead: str = INSTEAD
) -> None:
    """Checks in the first measurement of a run that the detections of this detector can match its ground truth.

    Where it detects nothing yet, detections of any score are looked at.

    Raises:
        ValueError: it cannot predict from its training batch, or what it predicts are no boxes.
    """
    if vars(detector).get('_predicts_boxes'):
        return
    name = type(detector).__name__
    try:
        with torch.no_grad():
            found = predict_boxes(detector, features, inputs, data_samples)
            if not sum(map(len, found)):
                with any_score(detector):
                    found = predict_boxes(detector, features, inputs, data_samples)
            _average_precision(detector, found, data_samples)
            boxes = torch.cat([get_box_tensor(each.bboxes) for each in found])
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        raise ValueError(
            f'{name} does not predict boxes from its training batch ({reason}), so its detection quality cannot be '
            f'measured. {instead}'
        ) from error
    if len(boxes) and not boxes.any():
        raise ValueError(
            f'{name} predicts masks without boxes: all its boxes are 0, and would never match an object. So its '
            f'detection quality cannot be measured. {instead}'
        )
    object.__setattr__(detector, '_predicts_boxes', True)


def _image_index(instances: List[Any], device: torch.device) -> Tensor:
    counts = torch.tensor([len(some.labels) for some in instances])
    return torch.arange(len(counts)).repeat_interleave(counts).to(device)

"""The detection quality of a detector, as a differentiable function."""

import sys
from contextlib import ExitStack, contextmanager
from typing import Any, Iterator, List, Mapping, Sequence

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.utils import select_single_mlvl
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor, nn

from ...balancers import DetectionQuality
from ...losses.soft_ap import soft_average_precision
from ...utils.numerics import at_least_fp32


@contextmanager
def record_features(detector: BaseDetector) -> Iterator[List[Any]]:
    """Collects what ``extract_feat`` of the detector returns."""
    found: List[Any] = []
    original = detector.extract_feat

    def recorded(*args: Any, **kwargs: Any) -> Any:
        found.append(original(*args, **kwargs))
        return found[-1]

    with _replaced(detector, 'extract_feat', recorded):
        yield found


def detection_quality(
    detector: BaseDetector, features: List[Any], inputs: Tensor, data_samples: SampleList
) -> DetectionQuality:
    """:func:`batch_average_precision` as a function of the features that the loss of the batch was computed from.

    Args:
        detector: of mmdet.
        features: what :func:`record_features` collected when the loss of the batch was computed; the last are used.
        inputs: ``(N, 3, H, W)``.
        data_samples: per image its ground truth.

    Raises:
        ValueError: the detector computed its loss without ``extract_feat``.
    """
    if not features:
        raise ValueError(
            f'{type(detector).__name__} does not call extract_feat in its loss: the features that it predicts from are '
            'not known, so its detection quality cannot be measured. Take a signal that only needs the losses: '
            "signal=dict(type='LossRate'), or dict(type='GradientAlignment', target='training_loss')."
        )
    latest: Any = features[-1]
    one = isinstance(latest, Tensor)

    def measure(levels: Sequence[Tensor]) -> Tensor:
        # balancers measure outside autocast, where fp32 layers do not accept features of lower precision
        full = tuple(at_least_fp32(level) for level in levels)
        return batch_average_precision(detector, full[0] if one else full, inputs, data_samples)

    return DetectionQuality(measure, [latest] if one else latest)


def quality_of(detector: BaseDetector, data: Mapping[str, Any]) -> Tensor:
    """:func:`batch_average_precision` of a batch of a data loader, with a graph to the detector's parameters."""
    data = detector.data_preprocessor(data, False)
    with evaluating(detector):
        features = detector.extract_feat(data['inputs'])
    return batch_average_precision(detector, features, data['inputs'], data['data_samples'])


def batch_average_precision(detector: BaseDetector, features: Any, inputs: Tensor, data_samples: SampleList) -> Tensor:
    """Soft average precision of the detections of a batch.

    The heads predict from given features, in evaluation mode, so that no statistics are updated. Detections below the
    score threshold of the detector's ``test_cfg`` do not count.

    Args:
        detector: of mmdet.
        features: what ``extract_feat`` of the detector returns: a tensor, or a sequence of them.
        inputs: ``(N, 3, H, W)``.
        data_samples: per image its ground truth.

    Returns:
        A scalar in [0, 1]; where gradients are enabled its graph goes back to the features, see
        :func:`~slf_mmdet.losses.soft_average_precision`.
    """
    blank = [DetDataSample(metainfo=sample.metainfo) for sample in data_samples]
    with ExitStack() as stack:
        stack.enter_context(evaluating(detector))
        stack.enter_context(_replaced(detector, 'extract_feat', lambda *args, **kwargs: features))
        if torch.is_grad_enabled():
            stack.enter_context(keeping_the_graph(detector))
        predictions = [sample.pred_instances for sample in detector.predict(inputs, blank, rescale=False)]
    objects = [sample.gt_instances for sample in data_samples]
    precision = soft_average_precision(
        torch.cat([get_box_tensor(found.bboxes) for found in predictions]).float(),
        torch.cat([found.scores for found in predictions]).float(),
        torch.cat([found.labels for found in predictions]),
        _image_index(predictions, inputs.device),
        torch.cat([get_box_tensor(instances.bboxes) for instances in objects]),
        torch.cat([instances.labels for instances in objects]),
        _image_index(objects, inputs.device),
    )
    levels = [features] if isinstance(features, Tensor) else features
    return precision + sum(0 * level.sum() for level in levels)  # a graph, even where nothing was detected


@contextmanager
def evaluating(detector: nn.Module) -> Iterator[None]:
    """Evaluation mode within the context; afterwards each module is in its previous mode."""
    modes = {module: module.training for module in detector.modules()}
    detector.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def keeping_the_graph(detector: BaseDetector) -> Iterator[None]:
    """Makes dense heads of mmdet keep the graph of their predictions, which ``select_single_mlvl`` detaches.

    The function is replaced in the modules of the detector's classes within the context, since mmdet has no option for
    it.
    """

    def attached(tensors: List[Tensor], batch_id: int, detach: bool = True) -> List[Tensor]:
        return select_single_mlvl(tensors, batch_id, detach=False)

    classes = {cls for module in detector.modules() for cls in type(module).__mro__}
    homes = {sys.modules[cls.__module__] for cls in classes}
    with ExitStack() as stack:
        for home in homes:
            if getattr(home, 'select_single_mlvl', None) is select_single_mlvl:
                stack.enter_context(_replaced(home, 'select_single_mlvl', attached))
        yield


def _image_index(instances: List[Any], device: torch.device) -> Tensor:
    counts = torch.tensor([len(some.labels) for some in instances])
    return torch.arange(len(counts)).repeat_interleave(counts).to(device)


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replaces an attribute of an object or module within the context."""
    before = vars(owner).get(name)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, before)

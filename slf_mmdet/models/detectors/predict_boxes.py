"""Predicts the boxes of a training batch from features that exist already: with their graph, and without masks."""

import inspect
import sys
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Iterator, List

import torch
from mmdet.models.detectors import (
    BaseDetector,
    TwoStagePanopticSegmentor,
)
from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor
from mmdet.models.roi_heads import BaseRoIHead
from mmdet.models.utils import select_single_mlvl
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

# Proposals of an image for the heads behind an RPN; tests take 1,000, a training step trains on 512
NUM_PROPOSALS = 256
# Of images that no pipeline has padded; CenterNet and CornerNet subtract it
NO_BORDER = (0.0, 0.0, 0.0, 0.0)
# The latter two are SOLO's, whose masks have scores, too
THRESHOLDS = ('score_thr', 'filter_thr', 'mask_thr')


def predict_boxes(
    detector: BaseDetector, features: Any, inputs: Tensor, data_samples: SampleList, fixed_proposals: bool = False
) -> List[InstanceData]:
    """The detections of images, predicted in evaluation mode from features that ``extract_feat`` returned before.

    No statistics are updated, masks are not predicted where boxes do not depend on them, and the heads behind an RPN
    see :data:`NUM_PROPOSALS` of an image at most.

    Args:
        detector: of mmdet.
        features: what its ``extract_feat`` returned.
        inputs: ``(N, 3, H, W)``.
        data_samples: per image its meta information, of a training pipeline.
        fixed_proposals: no gradient goes through the boxes that an RPN proposes, as in a training step.

    Returns:
        Per image ``bboxes`` in pixels of the inputs, ``scores`` and ``labels``.

    Raises:
        AttributeError: the detector predicts no instances.
    """
    with ExitStack() as stack:
        stack.enter_context(evaluating(detector))
        stack.enter_context(boxes_only(detector))
        stack.enter_context(fewer_proposals(detector))
        if fixed_proposals:
            stack.enter_context(proposals_detached(detector))
        stack.enter_context(replaced(detector, 'extract_feat', lambda *args, **kwargs: features))
        if torch.is_grad_enabled():
            stack.enter_context(keeping_the_graph(detector))
        blank = _without_truth(data_samples)
        if isinstance(detector, TwoStagePanopticSegmentor):  # what it predicts are panoptic maps, made from these
            proposals = detector.rpn_head.predict(features, blank, rescale=False)
            return detector.roi_head.predict(features, proposals, blank, rescale=False)
        return [sample.pred_instances for sample in detector.predict(inputs, blank, rescale=False)]


def _without_truth(data_samples: SampleList) -> SampleList:
    blank = []
    for sample in data_samples:
        blank.append(DetDataSample(metainfo={'border': NO_BORDER, **sample.metainfo}))
        if 'proposals' in sample:  # of Fast R-CNN, whose loss renames their boxes
            given = sample.proposals
            blank[-1].proposals = InstanceData(bboxes=given.bboxes if 'bboxes' in given else given.priors)
    return blank


@contextmanager
def record_features(detector: BaseDetector) -> Iterator[List[Any]]:
    """Collects what ``extract_feat`` of the detector returns."""
    found: List[Any] = []
    original = detector.extract_feat

    def recorded(*args: Any, **kwargs: Any) -> Any:
        found.append(original(*args, **kwargs))
        return found[-1]

    with replaced(detector, 'extract_feat', recorded):
        yield found


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
def boxes_only(detector: BaseDetector) -> Iterator[None]:
    """Within the context, heads that predict masks of given boxes return these boxes as they are."""
    with ExitStack() as stack:
        for module in detector.modules():
            if isinstance(module, BaseRoIHead) and module.with_mask and hasattr(module, 'predict_mask'):
                stack.enter_context(replaced(module, 'predict_mask', _given_results(module.predict_mask)))
        if isinstance(detector, SingleStageInstanceSegmentor) and detector.with_bbox:
            head = detector.mask_head
            stack.enter_context(replaced(head, 'predict', _given_results(head.predict)))
        yield


@contextmanager
def fewer_proposals(detector: BaseDetector) -> Iterator[None]:
    """Within the context, an RPN proposes :data:`NUM_PROPOSALS` boxes of an image at most."""
    rpn = getattr(detector, 'rpn_head', None)
    test_cfg = getattr(rpn, 'test_cfg', None)
    if not isinstance(test_cfg, dict) or 'max_per_img' not in test_cfg:
        yield
        return
    number = min(NUM_PROPOSALS, test_cfg['max_per_img'])
    with replaced(rpn, 'test_cfg', type(test_cfg)({**test_cfg, 'max_per_img': number})):
        yield


@contextmanager
def proposals_detached(detector: BaseDetector) -> Iterator[None]:
    """Within the context, no gradient goes through the boxes that an RPN proposes to the heads behind it."""
    rpn = getattr(detector, 'rpn_head', None)
    if rpn is None or not hasattr(detector, 'roi_head'):
        yield
        return
    predict = rpn.predict

    def detached(*args: Any, **kwargs: Any) -> List[InstanceData]:
        return [proposals.detach() for proposals in predict(*args, **kwargs)]

    with replaced(rpn, 'predict', detached):
        yield


def _given_results(predict: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes the arguments of ``predict`` and returns its ``results_list``."""
    signature = inspect.signature(predict)

    def given(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        return bound['results_list']

    return given


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
                stack.enter_context(replaced(home, 'select_single_mlvl', attached))
        yield


@contextmanager
def any_score(detector: BaseDetector) -> Iterator[None]:
    """Within the context, detections of any score count: the :data:`THRESHOLDS` of each ``test_cfg`` are 0."""
    with ExitStack() as stack:
        for module in detector.modules():
            if isinstance(getattr(module, 'test_cfg', None), dict):
                stack.enter_context(replaced(module, 'test_cfg', _of_any_score(module.test_cfg)))
        yield


def _of_any_score(cfg: Any) -> Any:
    if not isinstance(cfg, dict):
        return cfg
    changed = {key: 0.0 if key in THRESHOLDS else _of_any_score(value) for key, value in cfg.items()}
    return type(cfg)(changed)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
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

"""Balances the losses of any detector without changes to its code."""

import copy
import functools
import types
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Type

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from ...balancers import LossBalancer, checked_balancer
from ...utils.image_id import image_id
from ...utils.renamed import check_renamed
from .loss_parts import EXAMPLE, AllMatched, LossParts
from .predict_boxes import record_features
from .probe import Probe, pooled, probe_detector, record_output
from .quality import detection_quality, quality_of

PARTS = 'parts'
OWN_SETTINGS = ('type', 'detector_type', 'detector', 'loss_balancer', 'loss_ap', 'features', 'shared_layer')


class Balancing(NamedTuple):
    """How a detector is balanced; arguments of :class:`BalancedDetector`."""

    loss_parts: LossParts
    features: str
    shared_layer: Optional[str]


@MODELS.register_module()
class BalancedDetector(BaseDetector):
    """A detector of mmdet whose losses are weighted by a balancer.

    The detector is not wrapped. It is built as its config says, and its class becomes a subclass of its own, with this
    one's :meth:`loss`: ``BalancedRetinaNet`` is a ``RetinaNet``. So parameters keep their names, checkpoints of the
    plain detector can be loaded, and hooks, optimizer constructors, ``model.to(...)`` and whatever else a detector
    overrides work as before. Only the state of the balancer, ``loss_balancer.*``, is added.

    In a config that inherits from the detector's own, ``type`` moves to ``detector_type``::

        _base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
        model = dict(
            type='BalancedDetector',
            detector_type='RetinaNet',
            loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', box='loss_bbox')),
        )

    A whole config can be given instead: ``model = dict(type='BalancedDetector', detector=dict(type='RetinaNet', ...),
    loss_balancer=...)``.

    A model that predicts no boxes, such as :class:`~slf_mmdet.models.SemanticSegmentor`, may measure its own quality
    for signals that need one: see :func:`~slf_mmdet.models.detectors.quality.detection_quality`.

    Args:
        loss_balancer: config of a :class:`~slf_mmdet.balancers.LossBalancer`. Its ``parts`` are a dict, part -> loss
            key, regular expression that matches loss keys in full, or a list of these (see :class:`LossParts`);
            or a list of loss keys, each a part of its own. Without them each loss is a part, named by its key without
            "loss", found by :func:`probe_detector` when the detector is built. Losses in no part keep the weight 1.
            Base weights default to 1, on top of the ``loss_weight`` of the detector's own config.
        loss_ap: config of a :class:`~slf_mmdet.losses.SoftAPLoss`, one more part that is not balanced, ``loss_ap``.
        features: what a decision network sees: ``'parts'`` for the logarithms of the parts, or the name of a submodule
            of the detector, ``'backbone'`` for instance, for its output averaged over positions (of a pyramid, the
            last level). They have a graph; ``SLFBalancer`` detaches them, ``PaperSLFBalancer`` does not. The
            balancer's ``feature_dim`` is found where it is not given.
        shared_layer: name of the submodule with respect to whose weights a balancer differentiates the parts, if it
            does (``GradNormBalancer``, the signal ``GradientAlignment``). Defaults to the neck, or to the backbone's
            last child.
        detector_type: type of the detector, whose settings are the others here.
        detector: config of the detector, instead of ``detector_type``. Further settings replace those in it.
        settings: of the detector, ``backbone`` and ``test_cfg`` for instance.

    Raises:
        TypeError: not exactly one of ``detector_type`` and ``detector`` is given.
        ValueError: the parts cannot be found or do not fit the losses, the detector already balances its loss, or a
            part is named ``'ap'`` beside ``loss_ap``.
    """

    detector_class: Type[BaseDetector]  # of the plain detector

    def __new__(cls, **settings: Any) -> 'BalancedDetector':
        check_renamed(cls, settings)
        detector = MODELS.build(detector_config(settings))
        own = [name for name, module in detector.named_modules() if isinstance(module, LossBalancer)]
        if own:
            raise ValueError(
                f'{type(detector).__name__} balances its loss itself, in {own[0]}: give {own[0]} the balancer, and '
                'leave BalancedDetector out.'
            )
        detector.__class__ = _balanced_class(type(detector))  # type: ignore[arg-type]
        return detector

    def __init__(  # of what is added: the detector is complete by now
        self,
        *,
        loss_balancer: ConfigType,
        loss_ap: OptConfigType = None,
        features: str = PARTS,
        shared_layer: Optional[str] = None,
        detector_type: Optional[str] = None,
        detector: Optional[ConfigType] = None,
        **settings: Any,
    ) -> None:
        balancer_cfg = checked_balancer(loss_balancer)
        patterns = balancer_cfg.pop('parts', None)
        found: Optional[Probe] = None
        if patterns is None or (features != PARTS and balancer_cfg.get('feature_dim') is None):
            found = _probe(detector_config(dict(settings, detector_type=detector_type, detector=detector)), features)
        loss_parts = LossParts(found.loss_keys if patterns is None and found else patterns, all_losses=patterns is None)
        feature_dim = found.feature_dim if found and features != PARTS else 2 * len(loss_parts.names) + 2
        with torch.random.fork_rng(devices=[]):  # the detector's initial weights do not depend on the balancer
            defaults = dict(parts=loss_parts.names, feature_dim=feature_dim)
            self.loss_balancer = MODELS.build(balancer_cfg, default_args=defaults)
        self.loss_balancer.all_matched = AllMatched(loss_parts)
        self.loss_ap = None if loss_ap is None else MODELS.build(loss_ap)
        if loss_ap is not None and 'ap' in loss_parts.names:
            raise ValueError(
                "BalancedDetector: with loss_ap no part can be named 'ap': name it in loss_balancer.parts."
            )
        self.balancing = Balancing(loss_parts, features, shared_layer)
        if shared_layer is not None:
            shared_weights(self, shared_layer)  # a wrong name is an error now, not in the first step

    def loss(self, batch_inputs: Any, batch_data_samples: Any) -> Dict[str, Any]:
        """Computes the detector's losses and balances them.

        Args:
            batch_inputs: what the detector takes, ``(N, 3, H, W)``.
            batch_data_samples: per image its ground truth.

        Returns:
            ``loss_<part>`` weighted and ``balance_<part>`` for the log, and ``loss_ap`` where it is set; entries that
            are in no part are unchanged.
        """
        loss_parts, features, shared_layer = self.balancing
        submodule = None if features == PARTS else features
        with record_output(self, submodule) as outputs, record_features(self) as extracted:
            losses = super().loss(batch_inputs, batch_data_samples)
        quality = functools.partial(detection_quality, self, extracted, batch_inputs, batch_data_samples)
        parts = loss_parts.collect(losses, complete=not self.loss_balancer.all_matched.value)
        self.loss_balancer.all_matched.note()
        if submodule is not None and not outputs:
            raise ValueError(f'BalancedDetector: features={submodule!r} was not called in this step of the detector.')
        balanced = self.loss_balancer(
            parts,
            features=log_features(parts) if submodule is None else pooled(outputs[-1]),
            shared_parameters=functools.partial(shared_weights, self, shared_layer),
            detection_quality=quality,
            quality_of=functools.partial(quality_of, self),
            image_ids=_image_ids(batch_data_samples),
            parts_at_once=1,  # each costs a pass through the heads
        )
        losses = loss_parts.replace(losses, balanced)
        if self.loss_ap is not None:
            # Made in the warm-up, too: a detector whose quality cannot be measured is an error of the first step
            measured = quality(
                fixed_proposals=True, iou_thr=self.loss_ap.iou_thr, instead='Leave loss_ap out of the config.'
            )
            losses['loss_ap'] = self.loss_ap(measured.value, next(iter(balanced.values())))
        return losses

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Also loads checkpoints of versions that held the detector as a child, ``detector.*``."""
        old = f'{prefix}detector.'
        if 'detector' not in dict(self.named_children()):
            for key in [key for key in state_dict if key.startswith(old)]:
                state_dict[prefix + key[len(old) :]] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For copies and pickles: the class is made at run time, and ``__new__`` builds a detector."""
        return _empty, (self.detector_class,), self.__dict__


@functools.cache
def _balanced_class(detector_class: type) -> type:
    bases, name = (BalancedDetector, detector_class), f'Balanced{detector_class.__name__}'
    return types.new_class(name, bases, exec_body=lambda body: body.update(detector_class=detector_class))


def _empty(detector_class: type) -> Any:
    return object.__new__(_balanced_class(detector_class))


def detector_config(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """A copy of the config of the plain detector in the config of a :class:`BalancedDetector`.

    Args:
        settings: ``model`` of the config.

    Raises:
        TypeError: not exactly one of ``detector_type`` and ``detector`` is given.
    """
    kind, whole = settings.get('detector_type'), settings.get('detector')
    own = {key: value for key, value in settings.items() if key not in OWN_SETTINGS}
    if kind is not None:  # `detector` is one of its own settings, as of SoftTeacher
        return copy.deepcopy(dict(own, type=kind) if whole is None else dict(own, type=kind, detector=whole))
    if not isinstance(whole, Mapping):
        raise TypeError(
            "BalancedDetector: give detector_type='RetinaNet' and the settings of the detector beside it, or "
            f"detector=dict(type='RetinaNet', ...); found detector_type=None and detector={whole!r}."
        )
    return copy.deepcopy({**whole, **own})


def shared_weights(detector: nn.Module, name: Optional[str]) -> List[nn.Parameter]:
    """Weights, without biases and norms, of the layer that all parts of the loss share.

    Args:
        detector: of mmdet.
        name: of the submodule; ``None`` for the neck or, where it has no weights, the backbone's last child that has.

    Raises:
        ValueError: there is no such submodule, or it has no weights that are trained.
    """
    modules = dict(detector.named_modules())
    if name is None:
        last = [f'backbone.{child}' for child, _ in modules.get('backbone', nn.Module()).named_children()]
        candidates = ['neck', *reversed(last), 'backbone']
    else:
        candidates = [name]
    for candidate in candidates:
        parameters = modules[candidate].parameters() if candidate in modules else ()
        weights = [parameter for parameter in parameters if parameter.requires_grad and parameter.dim() > 1]
        if weights:
            return weights
    raise ValueError(
        f'BalancedDetector: shared_layer={name!r} is not a submodule of {type(detector).__name__} with weights that '
        f'are trained; its children are {[child for child, _ in detector.named_children()]}.'
    )


def log_features(parts: Mapping[str, Tensor]) -> Tensor:
    """The magnitudes of the parts, as features of a decision network.

    Args:
        parts: n scalars.

    Returns:
        ``(1, 2n + 2)``, with its graph: the logarithms, their negatives, 1 and -1. These preserve the magnitudes
        under the decision network's layer norm, which removes mean and scale of its input.
    """
    logs = torch.stack([part.float() for part in parts.values()]).clamp_min(1e-6).log()
    logs = torch.cat([logs, logs.new_ones(1)])
    return torch.cat([logs, -logs]).unsqueeze(0)


def _image_ids(data_samples: Any) -> List[str]:
    """Of the images of a batch; none where the data is not a list of samples (semi-supervised detectors)."""
    samples = data_samples if isinstance(data_samples, (list, tuple)) else []
    return [name for name in map(image_id, samples) if name is not None]


def _probe(detector: ConfigType, features: str) -> Probe:
    try:
        return probe_detector(detector, None if features == PARTS else features)
    except RuntimeError as error:
        wanted = 'parts' if features == PARTS else f'parts, and the feature_dim of features={features!r},'
        raise ValueError(
            f'BalancedDetector: the {wanted} could not be found. Write them into loss_balancer, as in {EXAMPLE}; with '
            f'a key that does not exist, the error of the first step lists all keys. {error}'
        ) from error

"""Balances the losses of any detector without changes to its code."""

import copy
import functools
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import OptSampleList, SampleList
from mmdet.utils import ConfigType, OptMultiConfig
from torch import Tensor, nn

from ...balancers import LossBalancer, checked_balancer
from ...utils.image_id import image_id
from ...utils.renamed import reject_renamed
from .loss_parts import EXAMPLE, LossParts
from .probe import Probe, pooled, probe_detector, record_output
from .quality import detection_quality, quality_of, record_features

PARTS = 'parts'


@reject_renamed
@MODELS.register_module()
class BalancedDetector(BaseDetector):
    """A detector of mmdet whose losses are weighted by a balancer.

    The balancer acts in training only. Data preprocessing, predictions and attributes such as ``bbox_head``, which
    hooks may read, are those of the detector. Checkpoints of the plain detector can be loaded, and
    ``tools/model_converters/publish_model.py`` converts back to one::

        model = dict(
            type='BalancedDetector',
            detector=dict(type='RetinaNet', ...),
            loss_balancer=dict(type='SLFBalancer', parts=dict(cls='loss_cls', box='loss_bbox')),
        )

    Args:
        detector: config of the detector, with its own ``data_preprocessor``.
        loss_balancer: config of a :class:`~slf_mmdet.balancers.LossBalancer`. Its ``parts`` are a dict, part -> loss
            key, regular expression that matches loss keys in full, or a list of these (see :class:`LossParts`);
            or a list of loss keys, each a part of its own. Without them each loss is a part, named by its key without
            "loss", found by :func:`probe_detector` when the detector is built. Losses in no part keep the weight 1.
            Base weights default to 1, on top of the ``loss_weight`` of the detector's own config.
        features: what a decision network sees: ``'parts'`` for the logarithms of the parts, or the name of a submodule
            of the detector, ``'backbone'`` for instance, for its output averaged over positions (of a pyramid, the
            last level). They have a graph; ``SLFBalancer`` detaches them, ``PaperSLFBalancer`` does not. The
            balancer's ``feature_dim`` is found where it is not given.
        shared_layer: name of the submodule with respect to whose weights a balancer differentiates the parts, if it
            does (``GradNormBalancer``, the signal ``GradientAlignment``). Defaults to the neck, or to the backbone's
            last child.
        init_cfg: see mmengine's ``BaseModule``.

    Raises:
        ValueError: the parts cannot be found or do not fit the losses, or the detector already balances its loss.
    """

    def __init__(
        self,
        detector: ConfigType,
        loss_balancer: ConfigType,
        features: str = PARTS,
        shared_layer: Optional[str] = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        inner = MODELS.build(copy.deepcopy(detector))  # mmdet changes configs that it builds
        super().__init__(data_preprocessor=inner.data_preprocessor, init_cfg=init_cfg)
        own = [name for name, module in inner.named_modules() if isinstance(module, LossBalancer)]
        if own:
            raise ValueError(
                f'{type(inner).__name__} balances its loss itself, in {own[0]}: give {own[0]} the balancer, and leave '
                'BalancedDetector out.'
            )
        self.detector = inner
        self.features = features
        self.shared_layer = shared_layer
        balancer_cfg = checked_balancer(loss_balancer)
        patterns = balancer_cfg.pop('parts', None)
        found: Optional[Probe] = None
        if patterns is None or (features != PARTS and balancer_cfg.get('feature_dim') is None):
            found = _probe(detector, features)
        self.loss_parts = LossParts(found.loss_keys if patterns is None and found else patterns)
        feature_dim = found.feature_dim if found and features != PARTS else 2 * len(self.loss_parts.names) + 2
        with torch.random.fork_rng(devices=[]):  # the detector's initial weights do not depend on the balancer
            defaults = dict(parts=self.loss_parts.names, feature_dim=feature_dim)
            self.loss_balancer = MODELS.build(balancer_cfg, default_args=defaults)
        if shared_layer is not None:
            shared_weights(inner, shared_layer)  # a wrong name is an error now, not in the first step

    def forward(self, inputs: Tensor, data_samples: OptSampleList = None, mode: str = 'tensor') -> Any:
        """As in the detector; with ``mode='loss'`` the losses are balanced."""
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.detector(inputs, data_samples, mode=mode)

    def loss(self, batch_inputs: Tensor, batch_data_samples: OptSampleList) -> Dict[str, Any]:
        """Computes the detector's losses and balances them.

        Args:
            batch_inputs: ``(N, 3, H, W)``.
            batch_data_samples: per image its ground truth.

        Returns:
            ``loss_<part>`` weighted and ``balance/<part>`` for the log; entries that are in no part are unchanged.
        """
        submodule = None if self.features == PARTS else self.features
        with record_output(self.detector, submodule) as outputs, record_features(self.detector) as extracted:
            losses = self.detector(batch_inputs, batch_data_samples, mode='loss')
        parts = self.loss_parts.collect(losses)
        if submodule is not None and not outputs:
            raise ValueError(f'BalancedDetector: features={submodule!r} was not called in this step of the detector.')
        balanced = self.loss_balancer(
            parts,
            features=log_features(parts) if submodule is None else pooled(outputs[-1]),
            shared_parameters=functools.partial(shared_weights, self.detector, self.shared_layer),
            detection_quality=functools.partial(
                detection_quality, self.detector, extracted, batch_inputs, batch_data_samples
            ),
            quality_of=functools.partial(quality_of, self.detector),
            image_ids=_image_ids(batch_data_samples),
        )
        return self.loss_parts.replace(losses, balanced)

    def predict(self, *args: Any, **kwargs: Any) -> SampleList:
        return self.detector.predict(*args, **kwargs)

    def _forward(self, *args: Any, **kwargs: Any) -> Union[Tensor, Tuple[Tensor, ...]]:
        return self.detector._forward(*args, **kwargs)

    def extract_feat(self, *args: Any, **kwargs: Any) -> Any:
        return self.detector.extract_feat(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith('_') or name == 'detector':
                raise
            return getattr(self.detector, name)

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Also loads the checkpoint of a plain detector."""
        if not any(key.startswith(f'{prefix}detector.') for key in state_dict):
            own = tuple(f'{prefix}{name}.' for name, _ in self.named_children())
            for key in [key for key in state_dict if key.startswith(prefix) and not key.startswith(own)]:
                state_dict[f'{prefix}detector.{key[len(prefix) :]}'] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


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

"""``--parts``: which losses of a detector make up which part of its objective."""

import dataclasses
import inspect
import re
import warnings
from typing import Any, Dict, List, Sequence, Union

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..models.detectors import BalancedDetector
from ..models.detectors.balanced_detector import detector_config
from ..models.detectors.loss_parts import LossParts
from ..models.detectors.probe import Probe, probe_detector
from .arms import Arm
from .balancer_arms import BalancerArm, balanced_modules

Parts = Union[Dict[str, Union[str, List[str]]], List[str]]
EXAMPLE = '--parts cls=loss_cls box=loss_bbox'
_probes: Dict[str, Union[Probe, RuntimeError]] = {}  # by the config of a detector, which may take seconds to build


def parse_parts(texts: Sequence[str]) -> Parts:
    """Reads ``name=pattern`` or ``name=pattern,pattern`` for each part, or loss keys, each a part of its own.

    Args:
        texts: a pattern is a loss key or a regular expression, see :class:`LossParts`. A list may have brackets around
            it; a comma within braces belongs to a regular expression.

    Raises:
        ValueError: the texts are not of this form.

    Examples:
        >>> parse_parts(['rpn=loss_rpn_.*', 'box=loss_bbox,loss_iou'])
        {'rpn': 'loss_rpn_.*', 'box': ['loss_bbox', 'loss_iou']}
        >>> parse_parts(['loss_cls', 'loss_bbox'])
        ['loss_cls', 'loss_bbox']
    """
    named = [re.fullmatch(r'\s*([\w.-]+)\s*=\s*(.+?)\s*', text) for text in texts]
    parts: Parts
    if any(named):
        parts = {}
        for text, found in zip(texts, named):
            if found is None:
                raise ValueError(
                    f'--parts: {text!r} has no name or no loss; write name=loss for each, as in {EXAMPLE}.'
                )
            name, value = found.groups()
            if name in parts:
                raise ValueError(f'--parts: the part {name!r} is given twice; write {name}=loss_a,loss_b.')
            patterns = _patterns(value)
            parts[name] = patterns if len(patterns) > 1 else patterns[0]
    else:
        parts = [text.strip() for text in texts]
        wrong = [key for key in parts if not re.fullmatch(r'[\w.]+', key)]
        if wrong:
            raise ValueError(f'--parts: {wrong[0]!r} is no loss key; write name=loss for each part, as in {EXAMPLE}.')
    LossParts(parts)
    return parts


def _patterns(value: str) -> List[str]:
    """What a part consists of. A regular expression in brackets as a whole would match single characters only."""
    if value.startswith('[') and value.endswith(']'):
        value = value[1:-1]
    patterns = [pattern.strip().strip('\'"') for pattern in re.split(r',(?![^{]*\})', value)]
    if not all(patterns):
        raise ValueError(f'--parts: {value!r} has an empty pattern; write name=loss_a,loss_b.')
    return patterns


def with_parts(arms: Sequence[Arm], parts: Parts, cfg: Config) -> List[Arm]:
    """The arms with parts for those of balancers, unless they have parts of their own.

    Args:
        arms: of a comparison.
        parts: see :class:`LossParts`.
        cfg: of the comparison.

    Raises:
        ValueError: no arm is a balancer, or the model of the config is no detector whose losses a
            ``BalancedDetector`` groups.
    """
    balancers = [arm for arm in arms if isinstance(arm, BalancerArm)]
    if not balancers:
        raise ValueError('--parts is for balancers (--balancers), but no arm is one.')
    model = balancers[0].apply(cfg).model
    if not any(_is_balanced_detector(owner) for owner in balanced_modules(model)):
        raise ValueError(
            f'--parts: {model.get("type")} names the parts of its loss itself. It is for other detectors, whose losses '
            'a BalancedDetector groups.'
        )
    return [
        dataclasses.replace(arm, balancer={'parts': parts, **arm.balancer}) if isinstance(arm, BalancerArm) else arm
        for arm in arms
    ]


def check_parts(cfg: Config, label: str) -> None:
    """Checks that the parts of each ``BalancedDetector`` in a config match its losses.

    Args:
        cfg: the config of an arm.
        label: of the arm, for the text of an error.

    Raises:
        ValueError: they do not, or there are no parts and the losses cannot be found.
    """
    for owner in balanced_modules(cfg.get('model')):
        if not _is_balanced_detector(owner):
            continue
        parts = owner['loss_balancer'].get('parts')
        found = _probe(detector_config(owner))
        try:
            loss_parts = None if parts is None else LossParts(parts)
            if loss_parts is not None and isinstance(found, Probe):
                loss_parts.owners(found.loss_keys, complete=True)
        except ValueError as error:
            raise ValueError(f'arm {label!r}: loss_balancer.parts: {error}') from None
        if isinstance(found, RuntimeError):
            if loss_parts is None:
                raise ValueError(f'arm {label!r}: {found}. Name its losses, as in {EXAMPLE}.')
            warnings.warn(f'arm {label!r}: the first step checks the parts, since {found}.', stacklevel=2)


def _is_balanced_detector(owner: Dict[str, Any]) -> bool:
    kind = MODELS.get(owner['type']) if isinstance(owner['type'], str) else owner['type']
    return inspect.isclass(kind) and issubclass(kind, BalancedDetector)


def _probe(detector: Dict[str, Any]) -> Union[Probe, RuntimeError]:
    key = repr(detector)
    if key not in _probes:
        try:
            with DefaultScope.overwrite_default_scope('mmdet'):
                _probes[key] = probe_detector(detector)
        except RuntimeError as error:
            _probes[key] = error
    return _probes[key]

"""Checks what a config names before it is built: a misspelt type or setting is an error that lists the choices."""

import difflib
import inspect
from typing import Any, Dict, List, Optional, Sequence, Set

from mmdet.registry import MODELS, TASK_UTILS
from mmengine.registry import Registry
from torch import nn

from .renamed import new_name


def registered(base: type, registry: Registry = MODELS) -> List[str]:
    """Sorted names of the classes in a registry that inherit from a base class."""
    return sorted(name for name, found in registry.module_dict.items() if _is_a(found, base))


def checked_cfg(
    cfg: Any, key: str, choices: Sequence[str], base: Optional[type] = None, registry: Registry = MODELS
) -> Dict[str, Any]:
    """A copy of the config of a module, whose type and settings exist.

    Args:
        cfg: what the config has.
        key: where it has it, for the text of an error.
        choices: types to name in an error.
        base: class that it must inherit from, if any.
        registry: where its type is registered.

    Raises:
        ValueError: ``cfg`` is no dict with a type, or the type is not registered, is not a ``base`` or has no such
            setting.
    """
    if not isinstance(cfg, dict) or not cfg.get('type'):
        raise ValueError(f"{key} must be a dict as dict(type='{choices[0]}', ...), found {cfg!r}. Types: {choices}.")
    kind = registry.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if kind is None or (base is not None and not _is_a(kind, base)):
        raise ValueError(f'{key}.type must be one of {choices}, found {cfg["type"]!r}.{_hint(cfg["type"], choices)}')
    settings = sorted(set(cfg) - {'type', '_scope_'})
    own = settings_of(kind)
    known = [name for name in (settings if own is None else own) if not new_name(kind, name)]
    unknown = [name for name in settings if name not in known]
    if unknown:
        hint = new_name(kind, unknown[0]) or _hint(unknown[0], known).strip()
        raise ValueError(f'{key}: {kind.__name__} has no setting {unknown}; it has {known}. {hint}'.rstrip())
    return dict(cfg)


def build_component(cfg: Any, key: str, base: type, **default_args: Any) -> Any:
    """Builds a signal, sampler or prior, or whatever else is registered in mmdet's ``TASK_UTILS``.

    Args:
        cfg: its config, ``dict(type=..., ...)``, or an instance, which is returned as it is.
        key: where the config has it, for the text of an error.
        base: class that it must inherit from.
        default_args: arguments that are filled in where its class takes them and the config does not give them.

    Raises:
        ValueError: see :func:`checked_cfg`.
    """
    if isinstance(cfg, base):
        return cfg
    cfg = checked_cfg(cfg, key, registered(base, TASK_UTILS), base, TASK_UTILS)
    kind = TASK_UTILS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    known = settings_of(kind)
    filled = {name: value for name, value in default_args.items() if known is None or name in known}
    return TASK_UTILS.build(cfg, default_args=filled)


def build_class_loss(cfg: Any, num_classes: int) -> Any:
    """Builds a loss of class scores, with the number of classes filled in where it takes one that is not given.

    Args:
        cfg: its config, ``dict(type=..., ...)``.
        num_classes: size of a sample's scores: ``feature_dim`` of ``StochasticLoss``, ``num_channels`` of
            ``AdaptiveRobustLoss``.
    """
    kind = MODELS.get(cfg['type']) if isinstance(cfg.get('type'), str) else cfg.get('type')
    sizes = {name: num_classes for name in ('feature_dim', 'num_channels') if name in (settings_of(kind) or ())}
    return MODELS.build(cfg, default_args=sizes)


def settings_of(kind: Any) -> Optional[List[str]]:
    """Names of a class's arguments, with those that its ``**kwargs`` hand on to its base class.

    Returns:
        ``None`` where they are not known: of what is no class, or where no class of the bases ends the ``**kwargs``.

    Examples:
        >>> from slf_mmdet.balancers import RLWBalancer
        >>> settings_of(RLWBalancer)
        ['base_weights', 'feature_dim', 'init_cfg', 'parts', 'seed']
    """
    constructors = [owner for owner in (kind.__mro__ if inspect.isclass(kind) else ()) if '__init__' in vars(owner)]
    if constructors and constructors[0] in (nn.Module, object):
        return []  # a class without a constructor of its own
    names: Set[str] = set()
    for owner in constructors:
        _, *parameters = inspect.signature(vars(owner)['__init__']).parameters.values()
        names |= {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            return sorted(names)
    return None


def _is_a(found: Any, base: type) -> bool:
    return inspect.isclass(found) and issubclass(found, base)


def _hint(found: Any, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(found), choices, n=1)
    return f' Did you mean {close[0]!r}?' if close else ''

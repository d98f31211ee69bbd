"""Checks what a config names before it is built: what is misspelt there is an error that lists the choices."""

import difflib
import inspect
from typing import Any, Dict, List, Optional, Sequence

from mmdet.registry import MODELS

from .base import LossBalancer


def checked_balancer(cfg: Any, key: str = 'loss_balancer') -> Dict[str, Any]:
    """A copy of a balancer's config, ``dict(type='SLFBalancer', ...)``.

    Args:
        cfg: what the config has.
        key: where it has it, for the text of an error.

    Raises:
        ValueError: ``cfg`` is no such dict, there is no such balancer, or it has no such setting.
    """
    choices = sorted(name for name, found in MODELS.module_dict.items() if _is_a(found, LossBalancer))
    checked = checked_cfg(cfg, key, choices, LossBalancer)
    weights = checked.get('base_weights')
    if not isinstance(weights, (dict, type(None))):
        raise ValueError(f'{key}.base_weights must be a dict, part -> number, found {weights!r}.')
    return checked


def checked_cfg(cfg: Any, key: str, choices: Sequence[str], base: Optional[type] = None) -> Dict[str, Any]:
    """A copy of the config of a module in mmdet's registry ``MODELS``, whose type and settings exist.

    Args:
        cfg: what the config has.
        key: where it has it, for the text of an error.
        choices: types to name in an error.
        base: class that it must inherit from, if any.

    Raises:
        ValueError: ``cfg`` is no dict with a type, or the type is not registered, is not a ``base`` or has no such
            setting.
    """
    if not isinstance(cfg, dict) or not cfg.get('type'):
        raise ValueError(f"{key} must be a dict as dict(type='{choices[0]}', ...), found {cfg!r}. Types: {choices}.")
    kind = MODELS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if kind is None or (base is not None and not _is_a(kind, base)):
        raise ValueError(f'{key}.type must be one of {choices}, found {cfg["type"]!r}.{_hint(cfg["type"], choices)}')
    known = settings_of(kind)
    unknown = sorted(set(cfg) - {'type', '_scope_'} - set(known)) if known is not None else []
    if known is not None and unknown:
        raise ValueError(f'{key}: {kind.__name__} has no setting {unknown}; it has {known}.{_hint(unknown[0], known)}')
    return dict(cfg)


def settings_of(kind: Any) -> Optional[List[str]]:
    """Names of a class's arguments, with those that its ``**kwargs`` hand on to its base class.

    Returns:
        ``None`` where they cannot be told: of what is no class, or where no class of the bases ends the ``**kwargs``.

    Examples:
        >>> from slf_mmdet.balancers import RLWBalancer
        >>> settings_of(RLWBalancer)
        ['base_weights', 'context_dim', 'init_cfg', 'parts', 'seed']
    """
    names = set()
    for owner in kind.__mro__ if inspect.isclass(kind) else ():
        if '__init__' in vars(owner):
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

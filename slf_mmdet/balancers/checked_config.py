"""Checks the config of a balancer before it is built."""

from typing import Any, Dict

from ..utils.config import checked_cfg, registered
from .base import LossBalancer


def checked_balancer(cfg: Any, key: str = 'loss_balancer') -> Dict[str, Any]:
    """A copy of a balancer's config, ``dict(type='SLFBalancer', ...)``.

    Args:
        cfg: what the config has.
        key: where it has it, for the text of an error.

    Raises:
        ValueError: ``cfg`` is no such dict, there is no such balancer, or it has no such setting.
    """
    checked = checked_cfg(cfg, key, registered(LossBalancer), LossBalancer)
    weights = checked.get('base_weights')
    if not isinstance(weights, (dict, type(None))):
        raise ValueError(f'{key}.base_weights must be a dict, part -> number, found {weights!r}.')
    return checked

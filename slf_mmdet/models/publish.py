"""Converts a training checkpoint into one of the plain detector, without balancer and optimizer."""

import ast
from typing import Any, Dict, List, Optional, Tuple

from .detectors.balanced_detector import OWN_SETTINGS

BALANCER = 'loss_balancer'
AVERAGE_PRECISION = 'loss_ap'
Items = List[Tuple[Optional[ast.expr], ast.expr]]


def publish_checkpoint(checkpoint: Dict[str, Any]) -> Dict[str, Any]:
    """Keeps the detector's weights, and of the metadata what inference needs.

    Args:
        checkpoint: of a training with or without a balancer, in a ``BalancedDetector`` or in a head.

    Returns:
        ``state_dict`` that the plain detector loads without missing keys, and ``meta`` with ``dataset_meta`` and the
        config of the plain detector.

    Raises:
        ValueError: it has no ``state_dict``.
    """
    if 'state_dict' not in checkpoint:
        raise ValueError(f'not a training checkpoint: it has no state_dict, but {sorted(checkpoint)[:5]}.')
    state = {
        key: value.cpu()
        for key, value in checkpoint['state_dict'].items()
        # A head with a loss_ap keeps it in its config; that of a BalancedDetector goes
        if BALANCER not in key.split('.')[:-1] and not key.startswith(f'{AVERAGE_PRECISION}.')
    }
    meta = dict(checkpoint.get('meta') or {})
    if 'cfg' in meta:
        meta['cfg'] = plain_config(meta['cfg'])
    return dict(meta=meta, state_dict=state)


def plain_config(text: str) -> str:
    r"""The text of a config without its balancers. Nothing in it is executed.

    Examples:
        >>> plain_config("model = dict(type='BalancedDetector', detector=dict(type='DETR'), loss_balancer=dict())")
        "model = dict(type='DETR')\n"
        >>> plain_config("model = dict(type='BalancedDetector', detector_type='DETR', loss_balancer=dict(), a=1)")
        "model = dict(type='DETR', a=1)\n"
    """
    return ast.unparse(_Unbalance().visit(ast.parse(text))) + '\n'


class _Unbalance(ast.NodeTransformer):
    """Handles both forms of a dict that mmengine writes, ``dict(key=value)`` and ``{'key': value}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        items = _unbalanced(_items(node))
        node.keywords = [ast.keyword(None if key is None else str(_constant(key)), value) for key, value in items]
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        items = _unbalanced(_items(node))
        node.keys, node.values = [key for key, _ in items], [value for _, value in items]
        return self.generic_visit(node)


def _items(node: Optional[ast.expr]) -> Items:
    """Keys, ``None`` for ``**``, and values of a dict in either form."""
    if isinstance(node, ast.Dict):
        return list(zip(node.keys, node.values))
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return [(None if one.arg is None else ast.Constant(one.arg), one.value) for one in keywords]


def _unbalanced(items: Items) -> Items:
    """The same as :func:`~.detectors.balanced_detector.detector_config`, of the items of a dict."""
    items = [(key, value) for key, value in items if _constant(key) != BALANCER]
    named = {_constant(key): value for key, value in items}
    if _constant(named.get('type')) != 'BalancedDetector':
        return items
    own = [(key, value) for key, value in items if _constant(key) not in OWN_SETTINGS]
    if 'detector_type' in named:
        whole = [(key, value) for key, value in items if _constant(key) == 'detector']  # as of SoftTeacher
        return [(ast.Constant('type'), named['detector_type']), *own, *whole]
    replaced = {_constant(key) for key, _ in own}
    return [*(item for item in _items(named.get('detector')) if _constant(item[0]) not in replaced), *own]


def _constant(node: Any) -> Any:
    return node.value if isinstance(node, ast.Constant) else None

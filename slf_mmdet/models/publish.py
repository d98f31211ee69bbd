"""Converts a training checkpoint into one of the plain detector, without balancer and optimizer."""

import ast
from typing import Any, Dict, Union

PREFIX = 'detector.'
BALANCER = 'loss_balancer'


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
    state = {key: value.cpu() for key, value in checkpoint['state_dict'].items() if BALANCER not in key.split('.')[:-1]}
    if state and all(key.startswith(PREFIX) for key in state):
        state = {key[len(PREFIX) :]: value for key, value in state.items()}
    meta = dict(checkpoint.get('meta') or {})
    if 'cfg' in meta:
        meta['cfg'] = plain_config(meta['cfg'])
    return dict(meta=meta, state_dict=state)


def plain_config(text: str) -> str:
    r"""The text of a config without its balancers. Nothing in it is executed.

    Examples:
        >>> plain_config("model = dict(type='BalancedDetector', detector=dict(type='DETR'), loss_balancer=dict())")
        "model = dict(type='DETR')\n"
    """
    return ast.unparse(_Unbalance().visit(ast.parse(text))) + '\n'


class _Unbalance(ast.NodeTransformer):
    """Handles both forms of a dict that mmengine writes, ``dict(key=value)`` and ``{'key': value}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != BALANCER]
        return self._unwrap(node, {str(keyword.arg): keyword.value for keyword in node.keywords})

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        pairs = [pair for pair in zip(node.keys, node.values) if _constant(pair[0]) != BALANCER]
        node.keys, node.values = [key for key, _ in pairs], [value for _, value in pairs]
        return self._unwrap(node, {str(_constant(key)): value for key, value in pairs})

    def _unwrap(self, node: Union[ast.Call, ast.Dict], items: Dict[str, ast.expr]) -> ast.AST:
        if _constant(items.get('type')) == 'BalancedDetector' and 'detector' in items:
            return self.visit(items['detector'])
        return self.generic_visit(node)


def _constant(node: Any) -> Any:
    return node.value if isinstance(node, ast.Constant) else None

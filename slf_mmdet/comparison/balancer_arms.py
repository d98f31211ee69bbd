"""Arms that differ in the balancer: what a name like ``slf(kl_weight=1)`` does to a config."""

import ast
import copy
import inspect
import itertools
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List

from mmdet.registry import MODELS, TASK_UTILS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..balancers import LossBalancer
from ..balancers.checked_config import checked_balancer
from ..slf import DecisionBalancer, Prior, Sampler, Signal
from ..utils.config import checked_cfg, registered
from .arms import AS_IT_IS, Arm

# Settings that describe the loss itself stay, whichever balancer is used
_KEPT = ('parts', 'base_weights', 'feature_dim')
# Settings of a DecisionBalancer that are configs of components in mmdet's TASK_UTILS
_COMPONENTS = dict(signal=Signal, sampler=Sampler, prior=Prior)


@dataclass(frozen=True, eq=False)
class BalancerArm(Arm):
    """The config with another balancer, wherever its model takes one.

    A detector that takes none, such as those of mmdet, becomes a ``BalancedDetector``.

    Args:
        label: see :class:`Arm`.
        balancer: its config.
    """

    balancer: Dict[str, Any]

    def apply(self, cfg: Config) -> Config:
        """The config with the balancer; ``parts``, ``base_weights`` and ``feature_dim`` of the config are kept.

        Raises:
            ValueError: the model takes no balancer and is not a detector.
        """
        cfg = copy.deepcopy(cfg)
        owners = list(balanced_modules(cfg.model))
        if not owners:
            scope = cfg.get('default_scope', 'mmdet')
            if scope != 'mmdet':
                raise ValueError(
                    f'arm {self.label!r}: {cfg.model.type} of default_scope {scope!r} takes no loss_balancer. '
                    'Compare other configs (--configs) or options of this one (--vary).'
                )
            cfg.model.update(type='BalancedDetector', detector_type=cfg.model.type)
            owners = [cfg.model]
        for owner in owners:
            kept = {key: value for key, value in (owner.get('loss_balancer') or {}).items() if key in _KEPT}
            owner['loss_balancer'] = {**kept, **self.balancer}
        return cfg


def balancer_types() -> Dict[str, str]:
    """Short name -> registered type: ``slf`` -> ``SLFBalancer``."""
    return {
        name[: -len('Balancer')].lower() if name.endswith('Balancer') else name.lower(): name
        for name, cls in MODELS.module_dict.items()
        if inspect.isclass(cls) and issubclass(cls, LossBalancer)
    }


def parse_arm(text: str) -> Arm:
    """Reads ``slf``, ``slf(kl_weight=1)`` or ``label=slf(kl_weight=1)``; ``config`` is the config as it is.

    Values are plain Python literals; ``dict(type='Softmax')`` is read, too.

    Raises:
        ValueError: there is no such balancer, or the arguments are not plain Python values.
    """
    try:
        statement = ast.parse(text.strip()).body
        if len(statement) != 1:
            raise SyntaxError
        label = text.strip()
        if isinstance(statement[0], ast.Assign):
            label = ast.unparse(statement[0].targets[0])
        call = statement[0].value  # type: ignore[attr-defined]
        keywords = call.keywords if isinstance(call, ast.Call) else []
        if isinstance(call, ast.Call) and call.args:
            raise SyntaxError
        name = ast.unparse(call.func if isinstance(call, ast.Call) else call)
        settings = {str(keyword.arg): _literal(keyword.value) for keyword in keywords}
    except (SyntaxError, ValueError, AttributeError):
        raise ValueError(
            f'{text!r} is not a valid arm: write a name, as in slf, or a name with settings, as in '
            "'slf(kl_weight=1)' or 'weak=slf(kl_weight=0.1)'."
        ) from None
    if name == AS_IT_IS and not settings:
        return Arm(label)
    known = balancer_types()
    if name.lower() not in known and name not in known.values():
        raise ValueError(f'{text!r}: there is no balancer {name!r}; there are {sorted([AS_IT_IS, *known])}.')
    return BalancerArm(label, dict(type=known.get(name.lower(), name), **settings))


def _literal(node: ast.expr) -> Any:
    """A plain Python value, ``dict(a=1)`` included, which is how configs write it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(element) for element in node.elts]
    return ast.literal_eval(node)


def balanced_modules(node: Any) -> Iterator[dict]:
    """Configs of the modules whose class has an argument ``loss_balancer``."""
    if isinstance(node, dict):
        cls = MODELS.get(node['type']) if isinstance(node.get('type'), str) else node.get('type')
        if inspect.isclass(cls) and 'loss_balancer' in inspect.signature(cls.__init__).parameters:
            yield node
        for value in node.values():
            yield from balanced_modules(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from balanced_modules(value)


def check_balancers(cfg: Config, label: str) -> None:
    """Checks the settings of each balancer in a config without building it.

    Args:
        cfg: the config of an arm.
        label: of the arm, for the text of an error.

    Raises:
        ValueError: a balancer, or its signal, sampler or prior, is not registered or has no such setting.
    """
    for owner in balanced_modules(cfg.get('model')):
        if owner.get('loss_balancer') is None:
            continue
        key = f'arm {label!r}: loss_balancer'
        balancer = checked_balancer(owner['loss_balancer'], key)
        kind = MODELS.get(balancer['type']) if isinstance(balancer['type'], str) else balancer['type']
        for name, base in _COMPONENTS.items():
            if name in balancer and issubclass(kind, DecisionBalancer):
                checked_cfg(balancer[name], f'{key}.{name}', registered(base, TASK_UTILS), base, TASK_UTILS)


def base_weights(cfg: Config, **settings: Any) -> Dict[str, float]:
    """The base weights of a config's parts, as its model sets them.

    Args:
        cfg: of the comparison.
        settings: of the balancer, ``parts`` for instance.
    """
    cfg = BalancerArm('static', dict(type='StaticBalancer', **settings)).apply(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(copy.deepcopy(cfg.model))
    balancers = [module for module in model.modules() if isinstance(module, LossBalancer)]
    if len(balancers) != 1:
        raise ValueError(f'{cfg.filename}: --weights needs a model with one balancer, found {len(balancers)}.')
    return dict(zip(balancers[0].parts, balancers[0].base_weights.tolist()))


def grid_arms(weights: Dict[str, float], **settings: Any) -> List[BalancerArm]:
    """Arms of static weights around the base weights: each weight halved and doubled, the others kept.

    Args:
        weights: part -> base weight.
        settings: of each balancer, ``parts`` for instance.
    """
    return [
        BalancerArm(
            f'static {name} x{factor:g}',
            dict(type='StaticBalancer', base_weights={**weights, name: weights[name] * factor}, **settings),
        )
        for name, factor in itertools.product(weights, (0.5, 2.0))
    ]

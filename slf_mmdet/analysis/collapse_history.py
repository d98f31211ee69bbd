"""When loss weights collapsed in a finished run: the test of ``CollapseGuardHook``, applied to the log."""

import copy
from typing import Dict, List, Mapping, NamedTuple, Tuple

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..balancers import LossBalancer
from ..hooks.balanced_steps import find_balancers
from ..hooks.collapse import Diagnosis, diagnose
from .logs import Curve


class Period(NamedTuple):
    """A period in which the weights of the same parts were collapsed.

    Attributes:
        first: iteration of its first line in the log.
        last: iteration of its last line.
        diagnosis: of the last line.
    """

    first: int
    last: int
    diagnosis: Diagnosis


def build_balancers(cfg: Config) -> Dict[str, LossBalancer]:
    """The balancers of a config's model, as the model builds them: prefix of their names in the log -> balancer."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        return find_balancers(MODELS.build(copy.deepcopy(cfg.model)))  # mmdet changes configs that it builds


def diagnoses(base_weights: Mapping[str, float], curves: Mapping[str, Curve]) -> Dict[int, Diagnosis]:
    """Iteration -> how the weight was distributed, for every line of the log.

    Args:
        base_weights: part -> base weight.
        curves: ``balance_<part>`` and ``loss_<part>`` for each of the parts, see
            :func:`~slf_mmdet.analysis.read_curves`.

    Raises:
        KeyError: a part is not in the log.
    """
    found = {}
    for row, iteration in enumerate(curves[f'balance_{next(iter(base_weights))}'].iters.tolist()):
        weights, weighted = (
            {part: float(curves[key.format(part)].values[row]) for part in base_weights}
            for key in ('balance_{}', 'loss_{}')
        )
        found[iteration] = diagnose(base_weights, weights, weighted)
    return found


def periods(history: Mapping[int, Diagnosis]) -> List[Period]:
    """The periods in which weights were collapsed, in order."""
    found: List[Period] = []
    before: Tuple[str, ...] = ()
    for iteration, diagnosis in history.items():
        if diagnosis.collapsed and diagnosis.collapsed == before:
            found[-1] = Period(found[-1].first, iteration, diagnosis)
        elif diagnosis.collapsed:
            found.append(Period(iteration, iteration, diagnosis))
        before = diagnosis.collapsed
    return found

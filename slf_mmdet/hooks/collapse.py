"""When a loss weight has collapsed: how the weight is spread over the parts."""

from typing import Mapping, NamedTuple, Tuple


class PartBalance(NamedTuple):
    """What a part has, all as shares.

    Attributes:
        weight: of all weight, in [0, 1].
        base: of all base weight, in [0, 1].
        objective: of the weighted loss, in [0, 1].
    """

    weight: float
    base: float
    objective: float

    @property
    def relative(self) -> float:
        """How much of what its base weight gives it the part has kept; 1 for all of it."""
        return self.weight / self.base


class Diagnosis(NamedTuple):
    """How the weight is spread.

    Attributes:
        parts: name -> what it has; parts of base weight 0 are left out.
        starved: names of those that are as good as switched off.
    """

    parts: Mapping[str, PartBalance]
    starved: Tuple[str, ...]

    def __str__(self) -> str:
        if not self.starved:
            return 'every part has weight'
        kept = ', '.join(f'{100 * self.parts[name].relative:.1f} %' for name in self.starved)
        name, most = max(self.parts.items(), key=lambda item: item[1].weight)
        return (
            f'left almost no weight to {", ".join(self.starved)} ({kept} of what the base weights give); {name} has '
            f'{100 * most.weight:.1f} % of all weight, by its base weight {100 * most.base:.1f} %'
        )


def diagnose(
    base_weights: Mapping[str, float], weights: Mapping[str, float], weighted: Mapping[str, float], share: float = 0.02
) -> Diagnosis:
    r"""Finds parts that are starved.

    With the weights :math:`w`, the base weights :math:`\lambda` and the weighted parts :math:`L`, a part is starved
    when both of these are below ``share``:

    .. math:: \frac{w_i / \sum_j w_j}{\lambda_i / \sum_j \lambda_j} \qquad \text{and} \qquad \frac{L_i}{\sum_j L_j}

    The second spares methods that give large losses small weights, so that each counts. In a corner, where one part
    has more than ``1 - share`` both of the weight and of the objective, and not by its base weight, all others are
    starved.

    Args:
        base_weights: part -> base weight >= 0.
        weights: part -> mean weight of some steps.
        weighted: part -> mean weighted loss of these steps, in any unit.
        share: in (0, 1).

    Examples:
        >>> diagnose(dict(box=5, cls=1), dict(box=0.01, cls=5.99), dict(box=0.02, cls=1.5)).starved
        ('box',)
        >>> diagnose(dict(box=5, cls=1), dict(box=0.01, cls=5.99), dict(box=1.4, cls=1.5)).starved  # box is large
        ()
    """
    totals = [sum(values[name] for name in base_weights) for values in (weights, base_weights, weighted)]
    shares = [
        {name: values[name] / total if total else 0.0 for name in base_weights}
        for values, total in zip((weights, base_weights, weighted), totals)
    ]
    parts = {name: PartBalance(*(s[name] for s in shares)) for name, base in base_weights.items() if base > 0}
    corner = any(part.weight > 1 - share >= part.base and part.objective > 1 - share for part in parts.values())
    starved = [
        name
        for name, part in parts.items()
        if part.objective < share and (part.relative < share or (corner and part.weight < share))
    ]
    return Diagnosis(parts, tuple(starved))

"""Finds loss weights that have collapsed, from how the weight is distributed over the parts."""

from typing import Mapping, NamedTuple, Tuple


class PartBalance(NamedTuple):
    """Shares of one part.

    Attributes:
        weight: of the total weight, in [0, 1].
        base: of the total base weight, in [0, 1].
        objective: of the weighted loss, in [0, 1].
    """

    weight: float
    base: float
    objective: float

    @property
    def relative(self) -> float:
        """Share of the weight over share of the base weight; 1 if they are equal."""
        return self.weight / self.base


class Diagnosis(NamedTuple):
    """How the weight is distributed over the parts.

    Attributes:
        parts: name -> its shares; parts of base weight 0 are left out.
        collapsed: names of those whose weight has collapsed.
    """

    parts: Mapping[str, PartBalance]
    collapsed: Tuple[str, ...]

    def __str__(self) -> str:
        if not self.collapsed:
            return 'no collapsed loss weight'
        kept = ', '.join(f'{100 * self.parts[name].relative:.1f} %' for name in self.collapsed)
        name, most = max(self.parts.items(), key=lambda item: item[1].weight)
        return (
            f'collapsed loss weights: {", ".join(self.collapsed)} ({kept} of the base weights); {name} has '
            f'{100 * most.weight:.1f} % of the total weight, {100 * most.base:.1f} % by its base weight'
        )


def diagnose(
    base_weights: Mapping[str, float], weights: Mapping[str, float], weighted: Mapping[str, float], share: float = 0.02
) -> Diagnosis:
    r"""Finds parts whose loss weight has collapsed.

    With the weights :math:`w`, the base weights :math:`\lambda` and the weighted parts :math:`L`, a part is collapsed
    when both of these are below ``share``:

    .. math:: \frac{w_i / \sum_j w_j}{\lambda_i / \sum_j \lambda_j} \qquad \text{and} \qquad \frac{L_i}{\sum_j L_j}

    The second condition exempts methods that give small weights to large losses, so that all contribute. Where one part
    has more than ``1 - share`` both of the weight and of the objective, and not by its base weight, all others are
    collapsed.

    Args:
        base_weights: part -> base weight >= 0.
        weights: part -> mean weight of some steps.
        weighted: part -> mean weighted loss of these steps, in any unit.
        share: in (0, 1).

    Examples:
        >>> diagnose(dict(box=5, cls=1), dict(box=0.01, cls=5.99), dict(box=0.02, cls=1.5)).collapsed
        ('box',)
        >>> diagnose(dict(box=5, cls=1), dict(box=0.01, cls=5.99), dict(box=1.4, cls=1.5)).collapsed  # box is large
        ()
    """
    totals = [sum(values[name] for name in base_weights) for values in (weights, base_weights, weighted)]
    shares = [
        {name: values[name] / total if total else 0.0 for name in base_weights}
        for values, total in zip((weights, base_weights, weighted), totals)
    ]
    parts = {name: PartBalance(*(s[name] for s in shares)) for name, base in base_weights.items() if base > 0}
    corner = any(part.weight > 1 - share >= part.base and part.objective > 1 - share for part in parts.values())
    collapsed = [
        name
        for name, part in parts.items()
        if part.objective < share and (part.relative < share or (corner and part.weight < share))
    ]
    return Diagnosis(parts, tuple(collapsed))

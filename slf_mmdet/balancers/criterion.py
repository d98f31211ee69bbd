"""What a detector tells a balancer of how good its detections of a batch are."""

from typing import Callable, List, Optional, Sequence

import torch
from torch import Tensor

from .safe_math import positive

Measure = Callable[[Sequence[Tensor]], Tensor]
AskedCriterion = Optional[Callable[[], Tensor]]  # a Criterion, or only what makes a scalar, or nothing


class Criterion:
    r"""A measure of a batch's detections, and what it would be if a part of the loss were solved.

    Args:
        measure: from the tensors that the detections are made of to a scalar, the lower, the better.
        places: these tensors, with the graph that the loss has of them as well: a head's output ``(N, ...)``, or the
            feature maps that it predicts from.
        reach: of the step to a solved part, in units of the one that takes it to 0 to first order. 1, and 2 for a sum
            of squares of the places, which that step takes to exactly 0.
    """

    def __init__(self, measure: Measure, places: Sequence[Tensor], reach: float = 1.0) -> None:
        self.measure = measure
        self.places = list(places)
        self.reach = reach

    def __call__(self) -> Tensor:
        """The measure of the detections as they are, with its graph."""
        return self.measure(self.places)

    def gains(self, losses: Tensor) -> Tensor:
        r"""By how much the measure would fall, were one part solved and all else as it is.

        Solved is a part after one step of the places along its gradient g, of the length that Polyak (1987) gives it:
        :math:`x - r \frac{\ell}{\|g\|^2} g`, with the ``reach`` r; of losses per image, image by image.

        Args:
            losses: unweighted parts ``(n,)`` or ``(N, n)``, with their graph.

        Returns:
            ``(n,)``, detached; less than 0 where a solved part would do harm.
        """
        with torch.no_grad():
            now = self.measure(self.places)
        return torch.stack([now - self._when_solved(part) for part in losses.unbind(-1)])

    def _when_solved(self, part: Tensor) -> Tensor:
        steps = self._steps(part)
        with torch.no_grad():
            solved = [place if by is None else (place - by).to(place.dtype) for place, by in zip(self.places, steps)]
            return self.measure(solved)

    def _steps(self, part: Tensor) -> List[Optional[Tensor]]:
        """What solves a part, ``(N,)`` or a scalar, once it is taken from each place; ``None`` for nothing."""
        free = [place for place in self.places if place.requires_grad]
        gradients = iter(torch.autograd.grad(part.sum(), free, retain_graph=True, allow_unused=True) if free else ())
        steps = [next(gradients) if place.requires_grad else None for place in self.places]
        known = [step for step in steps if step is not None]
        if not known:
            return steps
        by_image = torch.stack([step.float().square().flatten(1).sum(1) for step in known]).sum(0)
        length = self.reach * part.detach().clamp_min(0) / positive(by_image if part.dim() else by_image.sum())
        return [None if step is None else length.view(-1, *[1] * (step.dim() - 1)) * step for step in steps]

"""How good the detections of a batch are, and how much better they were if a part of the loss were solved."""

from typing import Callable, List, Mapping, Optional, Sequence, Union

import torch
from torch import Tensor

from ..utils.numerics import clamp_min_eps
from .part_gradients import scaled_gradients

Measure = Callable[[Sequence[Tensor]], Tensor]
MeasureAll = Callable[[Sequence[Sequence[Tensor]]], Tensor]


class DetectionQuality:
    r"""The soft average precision of a batch's detections, as a function of what they are made of.

    Args:
        measure: from the inputs to a scalar, the higher, the better.
        inputs: tensors that the detections are made of, which the loss depends on as well: a head's output
            ``(N, ...)``, or the feature maps that it predicts from.
        step_scale: length of the step to a solved part, in units of the one that takes it to 0 to first order. 1, and 2
            for a sum of squares of the inputs, which that step takes to exactly 0. One number, or part -> number.
        measure_all: from k alternatives of the inputs to ``(k,)``, where that is faster than ``measure`` of each.
    """

    def __init__(
        self,
        measure: Measure,
        inputs: Sequence[Tensor],
        step_scale: Union[float, Mapping[str, float]] = 1.0,
        measure_all: Optional[MeasureAll] = None,
    ) -> None:
        self.measure = measure
        self.inputs = list(inputs)
        self.step_scale = step_scale
        self._measure_all = measure_all

    def value(self) -> Tensor:
        """The quality of the detections as they are: a scalar with its graph."""
        return self.measure(self.inputs)

    def precisions(
        self, parts: Sequence[Tensor], names: Sequence[str] = (), which: Optional[Sequence[int]] = None
    ) -> Tensor:
        r"""The quality of the detections as they are, and as they would be, were one part solved.

        Solved is a part after one step of the inputs along its gradient g, of the length that Polyak (1987) gives it:
        :math:`x - r \frac{\ell}{\|g\|^2} g`, with the ``step_scale`` r; for losses per image, image by image.

        Args:
            parts: n unweighted parts, scalars or ``(N,)``, with their graph.
            names: of the n parts, where ``step_scale`` is given by part.
            which: indices of the k parts that are solved, one after the other; all of them by default.

        Returns:
            ``(1 + k,)``, detached.
        """
        solved = range(len(parts)) if which is None else which
        alternatives = [[x.detach() for x in self.inputs]]
        for index in solved:
            scale = self.step_scale[names[index]] if isinstance(self.step_scale, Mapping) else self.step_scale
            steps = self._steps(parts[index], scale)
            alternatives.append(
                [x.detach() if step is None else (x - step).detach().to(x.dtype) for x, step in zip(self.inputs, steps)]
            )
        with torch.no_grad():
            if self._measure_all is not None:
                return self._measure_all(alternatives)
            return torch.stack([self.measure(inputs) for inputs in alternatives])

    def gains(self, parts: Sequence[Tensor], names: Sequence[str] = ()) -> Tensor:
        """By how much the quality would rise, were one part solved and everything else as it is; as above.

        Returns:
            ``(n,)``, detached; less than 0 where a solved part would do harm.
        """
        found = self.precisions(parts, names)
        return found[1:] - found[0]

    def _steps(self, part: Tensor, step_scale: float) -> List[Optional[Tensor]]:
        """What solves a part, ``(N,)`` or a scalar, once it is subtracted from each input; ``None`` for nothing."""
        free = [x for x in self.inputs if x.requires_grad]
        gradients = iter(scaled_gradients(part.sum(), free) if free else [])
        steps = [next(gradients) if x.requires_grad else None for x in self.inputs]
        present = [step for step in steps if step is not None]
        if not present:
            return steps
        by_image = torch.stack([step.square().flatten(1).sum(1) for step in present]).sum(0)
        size = by_image if part.dim() else by_image.sum()
        length = step_scale * part.detach().clamp_min(0) / clamp_min_eps(size)
        length = length.masked_fill(size == 0, 0)  # a part without a gradient leads nowhere
        return [None if step is None else length.view(-1, *[1] * (step.dim() - 1)) * step for step in steps]

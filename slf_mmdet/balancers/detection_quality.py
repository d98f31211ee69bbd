"""How good the detections of a batch are, and how much better they were if a part of the loss were solved."""

from typing import Callable, List, Mapping, Optional, Sequence, Union

import torch
from torch import Tensor

from ..utils.numerics import clamp_min_eps

Measure = Callable[[Sequence[Tensor]], Tensor]


class DetectionQuality:
    r"""The soft average precision of a batch's detections, as a function of what they are made of.

    Args:
        measure: from the inputs to a scalar, the higher, the better.
        inputs: tensors that the detections are made of, which the loss depends on as well: a head's output
            ``(N, ...)``, or the feature maps that it predicts from.
        step_scale: length of the step to a solved part, in units of the one that takes it to 0 to first order. 1, and 2
            for a sum of squares of the inputs, which that step takes to exactly 0. One number, or part -> number.
    """

    def __init__(
        self, measure: Measure, inputs: Sequence[Tensor], step_scale: Union[float, Mapping[str, float]] = 1.0
    ) -> None:
        self.measure = measure
        self.inputs = list(inputs)
        self.step_scale = step_scale

    def value(self) -> Tensor:
        """The quality of the detections as they are: a scalar with its graph."""
        return self.measure(self.inputs)

    def gains(self, losses: Tensor, names: Sequence[str] = ()) -> Tensor:
        r"""By how much the quality would rise, were one part solved and everything else as it is.

        Solved is a part after one step of the inputs along its gradient g, of the length that Polyak (1987) gives it:
        :math:`x - r \frac{\ell}{\|g\|^2} g`, with the ``step_scale`` r; for losses per image, image by image.

        Args:
            losses: unweighted parts ``(n,)`` or ``(N, n)``, with their graph.
            names: of the n parts, where ``step_scale`` is given by part.

        Returns:
            ``(n,)``, detached; less than 0 where a solved part would do harm.
        """
        with torch.no_grad():
            now = self.measure(self.inputs)
        scales = (
            [self.step_scale[name] for name in names]
            if isinstance(self.step_scale, Mapping)
            else [self.step_scale] * losses.shape[-1]
        )
        return torch.stack([self._when_solved(part, r) - now for part, r in zip(losses.unbind(-1), scales)])

    def _when_solved(self, part: Tensor, step_scale: float) -> Tensor:
        steps = self._steps(part, step_scale)
        with torch.no_grad():
            solved = [x if step is None else (x - step).to(x.dtype) for x, step in zip(self.inputs, steps)]
            return self.measure(solved)

    def _steps(self, part: Tensor, step_scale: float) -> List[Optional[Tensor]]:
        """What solves a part, ``(N,)`` or a scalar, once it is subtracted from each input; ``None`` for nothing."""
        free = [x for x in self.inputs if x.requires_grad]
        gradients = iter(torch.autograd.grad(part.sum(), free, retain_graph=True, allow_unused=True) if free else ())
        steps = [next(gradients) if x.requires_grad else None for x in self.inputs]
        present = [step for step in steps if step is not None]
        if not present:
            return steps
        by_image = torch.stack([step.float().square().flatten(1).sum(1) for step in present]).sum(0)
        length = step_scale * part.detach().clamp_min(0) / clamp_min_eps(by_image if part.dim() else by_image.sum())
        return [None if step is None else length.view(-1, *[1] * (step.dim() - 1)) * step for step in steps]

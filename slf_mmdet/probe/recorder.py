"""Measures the parts of a loss while a detector computes it."""

import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..balancers import LossBalancer, Step
from ..balancers.part_gradients import part_gradients
from ..utils.numerics import at_least_fp32, mean_over_images


class Recorder:
    """A forward pre-hook of a balancer, which looks at the parts before they are weighted.

    Register it with ``balancer.register_forward_pre_hook(recorder, with_kwargs=True)``. It changes nothing.

    Args:
        num_timed: on so many of the first measured batches the measurement of the detection quality is done a second
            time as SLF does it, of ``parts_at_once`` parts, to time it.

    Attributes:
        active: whether the next batches are measured.
        losses: per batch the unweighted parts ``(n,)``.
        gradients: per batch the inner products ``(n, n)`` of the parts' gradients with respect to the shared
            parameters; empty where the detector offers none.
        precisions: per batch ``(1 + n,)``, the soft average precision as it is and with each part solved; empty where
            it cannot be measured.
        problems: what cannot be measured -> the detector's reason.
        seconds: per timed batch, what a measurement of SLF takes.
        spent: seconds that all of this took in the present iteration; whoever times iterations resets it.
    """

    def __init__(self, num_timed: int = 3) -> None:
        self.num_timed = num_timed
        self.active = False
        self.losses: List[Tensor] = []
        self.gradients: List[Tensor] = []
        self.precisions: List[Tensor] = []
        self.problems: Dict[str, str] = {}
        self.seconds: List[float] = []
        self.spent = 0.0

    def __call__(self, balancer: LossBalancer, args: Tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if not self.active:
            return
        start = now()
        parts: Mapping[str, Tensor] = args[0] if args else kwargs['parts']
        separate = torch.broadcast_tensors(*(at_least_fp32(parts[name]) for name in balancer.parts))
        losses = torch.stack(separate, dim=-1)
        offered = {key: value for key, value in kwargs.items() if key not in ('parts', 'features')}
        step = Step(losses, balancer.parts, training=False, parts=separate, **offered)
        with torch.autocast(losses.device.type, enabled=False):
            self.losses.append(mean_over_images(losses.detach()).cpu())
            self._measure_gradients(step)
            self._measure_quality(step)
        self.spent += now() - start

    def _measure_gradients(self, step: Step) -> None:
        parameters = self._offered('gradients', lambda: step.shared_parameters('slf-mmdet probe'))
        if parameters is not None:
            found = part_gradients(step.parts, parameters)
            self.gradients.append((found @ found.T).cpu())

    def _measure_quality(self, step: Step) -> None:
        quality = self._offered('quality', lambda: step.detection_quality('slf-mmdet probe'))
        if quality is None:
            return
        if len(self.seconds) < self.num_timed:
            which: Sequence[int] = range(min(step.parts_at_once or len(step.names), len(step.names)))
            start = now()
            quality.precisions(step.parts, step.names, which)
            self.seconds.append(now() - start)
        self.precisions.append(quality.precisions(step.parts, step.names).cpu())

    def _offered(self, key: str, ask: Any) -> Optional[Any]:
        if key in self.problems:
            return None
        try:
            return ask()
        except ValueError as error:
            self.problems[key] = str(error)
            return None


def now() -> float:
    """Seconds, once the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()

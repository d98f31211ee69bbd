"""Where the weights of a decision network start, and what leaving them is measured against."""

from typing import Dict, Type

import torch
from torch import Tensor, nn

from .part_gradients import Shared, squared_gradient_norms
from .safe_math import positive
from .state import StepCounter


class Anchor(nn.Module):
    """Shares q of the parts, > 0, that sum to 1: the base weights' own.

    Attributes:
        needs_gradients: whether the shares follow the parts' gradients.

    Args:
        base_weights: ``(n,)``, > 0.
    """

    needs_gradients = False

    def __init__(self, base_weights: Tensor) -> None:
        super().__init__()
        self.register_buffer('base_shares', base_weights / base_weights.sum(), persistent=False)
        self.base_shares: Tensor

    def due(self, step: int) -> bool:
        """Whether there is something to :meth:`measure` in an iteration."""
        return False

    def measure(self, losses: Tensor, output_layer: Shared) -> Tensor:
        """What the batches of all processes tell, ``(n,)``, for :meth:`update`."""
        raise NotImplementedError

    def update(self, measured: Tensor) -> None:
        """Takes a batch into account."""
        raise NotImplementedError

    def shares(self) -> Tensor:
        """q, ``(n,)``."""
        return self.base_shares


class GradientAnchor(Anchor):
    r"""Shares in which each part pulls at the detector equally hard, whatever base weights a user has set.

    .. math:: q_i \propto 1 / \sqrt{\langle \| \nabla \ell_i \|^2 \rangle}

    with the mean over all iterations so far: the balance that GradNorm (Chen et al., ICML 2018) steers to for
    :math:`\alpha = 0`, reached at once and without a learning rate. The mean forgets nothing, so that a part that is
    nearly learnt, as the empty cells of a grid soon are, does not take over. The gradients are those of the layer that
    predicts, where a detector tells it (the YOLOv1 head does), else of the last shared layer.

    Cost: a backward pass of each part from the loss down to that layer in the first 100 iterations, in every fiftieth
    after that.
    """

    needs_gradients = True

    def __init__(self, base_weights: Tensor) -> None:
        super().__init__(base_weights)
        self.register_buffer('squares', torch.zeros(len(base_weights)))
        self.squares: Tensor
        self.measurements = StepCounter()

    def due(self, step: int) -> bool:
        return step < 100 or step % 50 == 0

    def measure(self, losses: Tensor, output_layer: Shared) -> Tensor:
        return squared_gradient_norms(losses, output_layer).to(self.squares)

    def update(self, measured: Tensor) -> None:
        if measured.isfinite().all():  # one bad batch must not spoil what is remembered
            self.measurements.advance()
            self.squares += (measured - self.squares) / self.measurements.value

    def shares(self) -> Tensor:
        norms = self.squares.sqrt()
        # Never more than a hundred times the smallest share, and the base weight where nothing is known yet.
        shares = 1 / norms.clamp_min(positive(norms.max()) / 100)
        known = norms > 0
        shares = shares * (self.base_shares * known).sum() / positive((shares * known).sum())
        return torch.where(known, shares, self.base_shares)


ANCHORS: Dict[str, Type[Anchor]] = dict(base=Anchor, gradients=GradientAnchor)

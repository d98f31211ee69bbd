"""The running mean that everything here remembers with: over finite values only, without the bias of its start."""

from typing import Optional

import torch
from torch import Tensor, nn

from .checks import is_number, require
from .numerics import clamp_min_eps


class RunningMean(nn.Module):
    r"""Mean of vectors over time, exponential or arithmetic, in buffers that the checkpoint carries.

    With ``momentum`` :math:`\beta`, after the values :math:`x_1 \dots x_t`:

    .. math:: m_t = \frac{\sum_k \beta^{t - k} x_k}{\sum_k \beta^{t - k}}

    which is an exponential moving average with the bias correction of Adam (Kingma & Ba, ICLR 2015). Without
    ``momentum`` it is the arithmetic mean. A vector with a value that is not finite is left out: one bad batch must not
    spoil what is remembered. Nothing here waits for the device.

    Args:
        size: length of the vectors.
        momentum: in [0, 1); ``None`` for the arithmetic mean.

    Attributes:
        count: ``()`` number of vectors so far.

    Raises:
        ValueError: ``momentum`` is out of its range.
    """

    def __init__(self, size: int, momentum: Optional[float] = None) -> None:
        super().__init__()
        right = momentum is None or (is_number(momentum, 0) and momentum < 1)
        require(right, type(self).__name__, 'momentum', 'None or in [0, 1)', momentum)
        self.momentum = momentum
        self.register_buffer('average', torch.zeros(size))
        self.register_buffer('bias_correction', torch.zeros(()))  # the average of ones by now
        self.register_buffer('count', torch.zeros(()))
        self.average: Tensor
        self.bias_correction: Tensor
        self.count: Tensor

    def update(self, values: Tensor, also_finite: Optional[Tensor] = None) -> None:
        """Takes in a vector ``(size,)``, unless a value of it, or of ``also_finite``, is not finite."""
        values = values.detach().to(self.average)
        finite = values.isfinite().all()
        if also_finite is not None:
            finite = finite & also_finite.isfinite().all()
        self.count += finite
        old = 1 - 1 / self.count.clamp_min(1) if self.momentum is None else self.momentum
        old = torch.where(finite, torch.as_tensor(old, device=values.device), 1.0)
        values = values.masked_fill(~finite, 0)
        self.average.mul_(old).add_((1 - old) * values)
        self.bias_correction.mul_(old).add_(1 - old)

    @property
    def mean(self) -> Tensor:
        """``(size,)``; 0 before the first vector."""
        return self.average / clamp_min_eps(self.bias_correction)

    @property
    def effective_count(self) -> Tensor:
        r"""``()`` number of vectors that count: all so far, at most :math:`(1 + \beta) / (1 - \beta)`; at least 1."""
        most = float('inf') if self.momentum is None else (1 + self.momentum) / (1 - self.momentum)
        return self.count.clamp(1, most)

    def reset(self) -> None:
        """Forgets everything."""
        for buffer in (self.average, self.bias_correction, self.count):
            buffer.zero_()

"""An optimizer inside a balancer, which the ordinary checkpoint carries."""

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from .checks import is_number, require
from .state import StepCounter


class BufferAdam(nn.Module):
    """Adam (Kingma & Ba, ICLR 2015) for a buffer, with its moments in buffers too.

    For what a balancer learns by a rule of its own, not from the gradient of the objective. A gradient that is not
    finite counts as 0.

    Args:
        size: of the vector that it learns.
        lr: learning rate >= 0.
        weight_decay: >= 0, towards 0.

    Raises:
        ValueError: ``lr`` or ``weight_decay`` is negative or not finite.
    """

    def __init__(self, size: int, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__()
        for key, value in (('lr', lr), ('weight_decay', weight_decay)):
            require(is_number(value, 0), type(self).__name__, key, 'a finite number >= 0', value)
        self.lr = lr
        self.weight_decay = weight_decay
        self.counter = StepCounter()
        self.register_buffer('first_moment', torch.zeros(size))
        self.register_buffer('second_moment', torch.zeros(size))
        self.first_moment: Tensor
        self.second_moment: Tensor

    def descend(self, learned: Tensor, gradient: Tensor) -> None:
        """Takes one step on ``learned`` ``(n,)``, in place."""
        gradient = torch.where(gradient.isfinite().all(), gradient, 0)
        adam(
            [learned],
            [gradient],
            [self.first_moment],
            [self.second_moment],
            [],
            # On the CPU: torch reads it, which would wait for a GPU.
            [torch.tensor(float(self.counter.value), device='cpu')],
            foreach=False,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
        self.counter.advance()

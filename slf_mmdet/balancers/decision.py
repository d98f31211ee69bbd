"""The decision network h(f(x; w); v) of Liu & Lai, AAAI 2020, Eq. 4."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import is_count, require


class DecisionNetwork(nn.Module):
    """From the detector's own output to a probability vector: LayerNorm - Linear - leaky ReLU - Linear - log-softmax.

    The last layer starts with zero weights and the bias ``log(initial)``, so every input begins at exactly the
    initial probabilities and differences between inputs are learnt. Leaky, since at a detector's learning rate plain
    ReLUs die one after the other, and leave one set of weights for all inputs. The input of each linear layer is
    divided by the root of its width, with initial weights of variance 1: so a step of Adam, which moves every weight by
    about the learning rate, moves the outputs by the root of the width times that, and not by the width.

    Args:
        in_dim: D, size of the input vector.
        initial: ``(n,)`` initial probabilities, > 0, summing to 1.
        hidden_dim: width of the hidden layer.

    Raises:
        ValueError: a size is not an integer >= 1.
    """

    def __init__(self, in_dim: int, initial: Tensor, hidden_dim: int = 64) -> None:
        super().__init__()
        for key, value in (('context_dim', in_dim), ('hidden_dim', hidden_dim)):
            require(is_count(value), type(self).__name__, key, 'an integer >= 1', value)
        self.hidden = nn.Linear(in_dim, hidden_dim)
        nn.init.normal_(self.hidden.weight)  # divided by sqrt(D) in forward
        nn.init.zeros_(self.hidden.bias)
        self.output = nn.Linear(hidden_dim, len(initial))
        self.register_buffer('initial', initial.clone(), persistent=False)
        self.initial: Tensor
        self.reset()

    def reset(self) -> None:
        """Back to the initial probabilities; the hidden layer, which then has no effect on them, stays as it is."""
        with torch.no_grad():
            self.output.weight.zero_()
            self.output.bias.copy_(self.initial.log())

    def forward(self, context: Tensor) -> Tensor:
        """Maps ``(N, D)`` to log-probabilities ``(N, n)``."""
        context = F.layer_norm(context.to(self.hidden.weight.dtype), context.shape[-1:]) / self.hidden.in_features**0.5
        hidden = F.leaky_relu(self.hidden(context), 0.1) / self.output.in_features**0.5
        return self.output(hidden).log_softmax(dim=-1)

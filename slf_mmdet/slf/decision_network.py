"""The decision network h(f(x; w); v) of Liu & Lai, AAAI 2020, Eq. 4."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.checks import is_count, require


class DecisionNetwork(nn.Module):
    """From the detector's own output to a probability vector: LayerNorm - Linear - leaky ReLU - Linear - log-softmax.

    With ``initial`` the last layer starts with zero weights and the bias ``log(initial)``: every input begins at
    exactly the initial probabilities, and differences between inputs are learnt. Without, it starts at random.

    Leaky, since at a detector's learning rate plain ReLUs die one after the other, and leave one set of weights for all
    inputs. The input of each linear layer is divided by the root of its width, with initial weights of variance 1: so a
    step of Adam, which moves every weight by about the learning rate, moves the outputs by the root of the width times
    that, and not by the width.

    Args:
        feature_dim: D, size of the input vector.
        num_parts: n.
        hidden_dim: width of the hidden layer.
        initial: ``(n,)`` initial probabilities, > 0, summing to 1; ``None`` for a random start.

    Raises:
        ValueError: a size is not an integer >= 1.
    """

    def __init__(
        self, feature_dim: int, num_parts: int, hidden_dim: int = 64, initial: Optional[Tensor] = None
    ) -> None:
        super().__init__()
        for key, value in (('feature_dim', feature_dim), ('hidden_dim', hidden_dim)):
            require(is_count(value), type(self).__name__, key, 'an integer >= 1', value)
        self.hidden = nn.Linear(feature_dim, hidden_dim)
        nn.init.normal_(self.hidden.weight)  # divided by sqrt(D) in forward
        nn.init.zeros_(self.hidden.bias)
        self.output = nn.Linear(hidden_dim, num_parts)
        self.register_buffer('initial', None if initial is None else initial.clone(), persistent=False)
        self.initial: Optional[Tensor]
        self.reset()

    def reset(self) -> None:
        """Starts the last layer again. The hidden layer stays as it is; it has no effect on ``initial``."""
        with torch.no_grad():
            if self.initial is None:
                nn.init.normal_(self.output.weight)  # divided by the root of the width in forward
                self.output.bias.zero_()
            else:
                self.output.weight.zero_()
                self.output.bias.copy_(self.initial.log())

    def forward(self, features: Tensor) -> Tensor:
        """Maps ``(N, D)`` to log-probabilities ``(N, n)``."""
        features = features.to(self.hidden.weight.dtype)
        features = F.layer_norm(features, features.shape[-1:]) / self.hidden.in_features**0.5
        hidden = F.leaky_relu(self.hidden(features), 0.1) / self.output.in_features**0.5
        return self.output(hidden).log_softmax(dim=-1)

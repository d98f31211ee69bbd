"""The layer of FeaStNet (Verma et al., CVPR 2018): filters that are chosen by the data, edge by edge."""

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ...utils.checks import is_count, require
from .feature_graph import FeatureGraph


@MODELS.register_module()
class FeaStConv(nn.Module):
    r""":math:`y_i = \frac 1 {|N(i)|} \sum_{j \in N(i)} \sum_m q_m(x_i, x_j) W_m x_j + b`, with
    :math:`q = softmax_m(u_m^\top (x_j - x_i) + c_m)`.

    :math:`N(i)` are the node itself and its k neighbours.

    Args:
        in_channels: C.
        out_channels: C'.
        graph: n nodes.
        heads: M, the number of matrices :math:`W_m`.
    """

    neighbors: Tensor

    def __init__(self, in_channels: int, out_channels: int, graph: FeatureGraph, heads: int = 4) -> None:
        super().__init__()
        require(is_count(heads), type(self).__name__, 'heads', 'an integer >= 1', heads)
        self.register_buffer('neighbors', graph.neighbors_and_self, persistent=False)
        self.assignment = nn.Linear(in_channels, heads, bias=False)
        self.offset = nn.Parameter(torch.zeros(heads))
        self.linear = nn.Linear(heads * in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)``, n nodes of N samples, to ``(n, N, C')``."""
        scores = self.assignment(x)
        q = (self._gathered(scores) - scores.unsqueeze(1) + self.offset).softmax(-1)  # (n, k + 1, N, M)
        mixed = torch.einsum('nkbm,nkbc->nbmc', q, self._gathered(x)) / self.neighbors.shape[1]
        return self.linear(mixed.flatten(2))

    def _gathered(self, x: Tensor) -> Tensor:
        return x.index_select(0, self.neighbors.flatten()).unflatten(0, self.neighbors.shape)

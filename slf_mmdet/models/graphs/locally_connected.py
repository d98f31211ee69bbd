"""The locally connected layer: a filter of its own at every node."""

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from .feature_graph import FeatureGraph


@MODELS.register_module()
class GraphLocallyConnected(nn.Module):
    r""":math:`y_i = \sum_{j \in N(i)} W_{ij} x_j + b_i`: weights that nodes do not share (Bruna et al., ICLR 2014).

    :math:`N(i)` are the node itself and its k neighbours.

    Args:
        in_channels: C.
        out_channels: C'.
        graph: n nodes.
    """

    neighbors: Tensor

    def __init__(self, in_channels: int, out_channels: int, graph: FeatureGraph) -> None:
        super().__init__()
        nodes, size = graph.neighbors_and_self.shape
        self.register_buffer('neighbors', graph.neighbors_and_self, persistent=False)
        bound = (size * in_channels) ** -0.5  # as nn.Linear
        self.weight = nn.Parameter(torch.empty(nodes, size, in_channels, out_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(nodes, 1, out_channels).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)``, n nodes of N samples, to ``(n, N, C')``."""
        return self.bias + sum_over_neighbors(x, self.neighbors, self.weight)


def sum_over_neighbors(x: Tensor, neighbors: Tensor, weight: Tensor) -> Tensor:
    r""":math:`\sum_j x_j W_{ij}` over the neighbours j of each node i.

    Args:
        x: ``(n, N, C)``.
        neighbors: ``(n, k)``.
        weight: ``(n, k, C, C')``.

    Returns:
        ``(n, N, C')``.
    """
    # With the samples last, what is gathered is a matrix (k C, N) for each node already, without a copy
    gathered = x.transpose(1, 2).contiguous().index_select(0, neighbors.flatten()).unflatten(0, neighbors.shape)
    return (weight.flatten(1, 2).transpose(1, 2) @ gathered.flatten(1, 2)).transpose(1, 2)

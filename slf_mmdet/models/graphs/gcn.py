"""The layer of the graph convolutional network (Kipf & Welling, ICLR 2017)."""

from mmdet.registry import MODELS
from torch import Tensor, nn

from .feature_graph import FeatureGraph, SparseMatrix, normalized


@MODELS.register_module()
class GCNConv(nn.Module):
    r""":math:`\hat A X \Theta + b`, with :math:`\hat A` the normalised adjacency of the graph with self-loops (Eq. 8).

    Args:
        in_channels: C.
        out_channels: C'.
        graph: n nodes.
    """

    def __init__(self, in_channels: int, out_channels: int, graph: FeatureGraph) -> None:
        super().__init__()
        adjacency = graph.adjacency().fill_diagonal_(1)
        self.propagate = SparseMatrix(normalized(adjacency))
        self.linear = nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)``, n nodes of N samples, to ``(n, N, C')``."""
        return self.linear(self.propagate(x))

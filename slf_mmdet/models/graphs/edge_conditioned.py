"""The edge-conditioned convolution (Simonovsky & Komodakis, CVPR 2017)."""

from mmdet.registry import MODELS
from torch import Tensor, nn

from ...utils.checks import is_count, require
from .feature_graph import FeatureGraph
from .locally_connected import sum_over_neighbors


@MODELS.register_module()
class EdgeConditionedConv(nn.Module):
    r""":math:`y_i = \Theta_0 x_i + \frac 1 k \sum_{j \in N(i)} F(r_{ij}) x_j + b`, weights made by a network (Eq. 1).

    F is a perceptron with one hidden layer. It maps the attribute of an edge, the correlation of its two features, to a
    matrix C x C'. The node itself has a matrix of its own, :math:`\Theta_0`.

    Args:
        in_channels: C.
        out_channels: C'.
        graph: n nodes.
        hidden_dim: width of F's hidden layer.
    """

    neighbors: Tensor
    correlations: Tensor

    def __init__(self, in_channels: int, out_channels: int, graph: FeatureGraph, hidden_dim: int = 16) -> None:
        super().__init__()
        require(is_count(hidden_dim), type(self).__name__, 'hidden_dim', 'an integer >= 1', hidden_dim)
        self.register_buffer('neighbors', graph.neighbors, persistent=False)
        self.register_buffer('correlations', graph.correlations, persistent=False)
        self.edge_network = nn.Sequential(
            nn.Linear(1, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, in_channels * out_channels)
        )
        self.root = nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)``, n nodes of N samples, to ``(n, N, C')``."""
        weight = self.edge_network(self.correlations.unsqueeze(-1)).unflatten(-1, (x.shape[-1], -1))
        return self.root(x) + sum_over_neighbors(x, self.neighbors, weight) / self.neighbors.shape[1]

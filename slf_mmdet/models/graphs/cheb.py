"""The layer of ChebNet (Defferrard et al., NeurIPS 2016)."""

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ...utils.checks import is_count, require
from .feature_graph import FeatureGraph, SparseMatrix, normalized


@MODELS.register_module()
class ChebConv(nn.Module):
    r""":math:`\sum_{k < K} T_k(\tilde L) X \Theta_k + b`, a filter that is a polynomial of the Laplacian (Eq. 4).

    :math:`T_k` is the Chebyshev polynomial, :math:`T_k = 2 \tilde L T_{k-1} - T_{k-2}`, and
    :math:`\tilde L = 2 L / \lambda_{max} - I`. With L the normalised Laplacian and the bound of its eigenvalues, 2, for
    :math:`\lambda_{max}`, this is :math:`-D^{-1/2} A D^{-1/2}`.

    Args:
        in_channels: C.
        out_channels: C'.
        graph: n nodes.
        order: K >= 1: nodes up to K - 1 edges away have an effect.
    """

    def __init__(self, in_channels: int, out_channels: int, graph: FeatureGraph, order: int = 3) -> None:
        super().__init__()
        require(is_count(order), type(self).__name__, 'order', 'an integer >= 1', order)
        self.order = order
        self.propagate = SparseMatrix(-normalized(graph.adjacency()))
        self.linear = nn.Linear(order * in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)``, n nodes of N samples, to ``(n, N, C')``."""
        terms = [x]
        while len(terms) < self.order:
            product = self.propagate(terms[-1])
            terms.append(product if len(terms) == 1 else 2 * product - terms[-2])
        return self.linear(torch.cat(terms, dim=-1))

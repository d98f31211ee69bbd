"""The spectral layer (Bruna et al., ICLR 2014): a filter in the eigenbasis of the graph's Laplacian."""

from typing import Optional

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ...utils.checks import is_count, require
from .feature_graph import FeatureGraph, normalized


@MODELS.register_module()
class SpectralConv(nn.Module):
    r""":math:`y_o = \sum_c U \, diag(\theta_{co}) \, U^\top x_c + b_o`, a multiplier for each frequency (section 3.2).

    U holds eigenvectors of the normalised Laplacian :math:`I - D^{-1/2} A D^{-1/2}`, smallest eigenvalue, or frequency,
    first. They are part of the checkpoint: a basis of equal eigenvalues is not unique, and the multipliers are for this
    one.

    Args:
        in_channels: C.
        out_channels: C'.
        graph: n nodes.
        num_frequencies: number of eigenvectors, the smoothest, in [1, n]; ``None`` for all.
    """

    basis: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, graph: FeatureGraph, num_frequencies: Optional[int] = None
    ) -> None:
        super().__init__()
        nodes = graph.num_nodes
        count = nodes if num_frequencies is None else num_frequencies
        right = is_count(count) and count <= nodes
        require(right, type(self).__name__, 'num_frequencies', f'None or in [1, {nodes}]', num_frequencies)
        laplacian = torch.eye(nodes) - normalized(graph.adjacency())
        self.register_buffer('basis', torch.linalg.eigh(laplacian.double())[1][:, :count].float())
        bound = in_channels**-0.5  # as nn.Linear: the transform keeps the norm
        self.multipliers = nn.Parameter(torch.empty(count, in_channels, out_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)``, n nodes of N samples, to ``(n, N, C')``."""
        spectrum = (self.basis.T @ x.flatten(1)).unflatten(1, x.shape[1:])
        filtered = spectrum @ self.multipliers
        return (self.basis @ filtered.flatten(1)).unflatten(1, filtered.shape[1:]) + self.bias

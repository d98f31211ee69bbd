"""The graph of the features: which of them are correlated in the training data."""

import numpy as np
import torch
from torch import Tensor, nn

from ...utils.checks import is_count, require


class FeatureGraph:
    r"""The graph that joins each feature with its k nearest by absolute correlation.

    Layers that gather use the k neighbours of a node. Those that multiply with an adjacency matrix use the symmetric
    one, :math:`A_{ij} = |r_{ij}|` where i is a neighbour of j or j of i, and 0 elsewhere.

    Args:
        features: ``(N, n)``, N samples of n features.
        num_neighbors: k, in [1, n - 1].

    Attributes:
        neighbors: ``(n, k)``, nearest first; of equal ones the first.
        correlations: ``(n, k)``, r of each node with its neighbours, in [-1, 1].

    Raises:
        ValueError: a feature is constant, so its correlations are undefined; or ``num_neighbors`` is out of its range.
    """

    def __init__(self, features: np.ndarray, num_neighbors: int) -> None:
        count = features.shape[1]
        right = is_count(num_neighbors) and num_neighbors < count
        require(right, 'FeatureGraph', 'num_neighbors', f'in [1, {count - 1}] with {count} features', num_neighbors)
        constant = np.flatnonzero(np.ptp(features, axis=0) == 0)
        if len(constant):
            raise ValueError(
                f'FeatureGraph: the features {constant[:10].tolist()} have one value in all {len(features)} samples, '
                'so their correlations are undefined. Leave them out.'
            )
        # Rounded, so that features of equal correlation come in the same order on every machine
        correlations = torch.from_numpy(np.corrcoef(features.astype(np.float64), rowvar=False).round(6)).float()
        distance = 1 - correlations.abs()
        distance.fill_diagonal_(torch.inf)
        self.neighbors = distance.argsort(dim=1, stable=True)[:, :num_neighbors]
        self.correlations = correlations.gather(1, self.neighbors)

    @property
    def num_nodes(self) -> int:
        return len(self.neighbors)

    @property
    def neighbors_and_self(self) -> Tensor:
        """``(n, k + 1)``: each node itself, then its neighbours."""
        return torch.cat([torch.arange(self.num_nodes).unsqueeze(1), self.neighbors], dim=1)

    def adjacency(self) -> Tensor:
        """The symmetric adjacency matrix A, dense ``(n, n)``, with a diagonal of 0."""
        directed = torch.zeros(self.num_nodes, self.num_nodes).scatter_(1, self.neighbors, self.correlations.abs())
        return torch.maximum(directed, directed.T)


def normalized(adjacency: Tensor) -> Tensor:
    r""":math:`D^{-1/2} A D^{-1/2}` of a dense matrix, D the diagonal matrix of its row sums; 0 in rows of zeros."""
    scale = adjacency.sum(1).rsqrt()
    scale[scale.isinf()] = 0
    return scale.unsqueeze(1) * adjacency * scale


class SparseMatrix(nn.Module):
    """Multiplies node values with a constant matrix that is mostly 0.

    Its buffers are dense, since ``DistributedDataParallel`` does not take sparse ones.

    Args:
        matrix: ``(m, n)``, dense.
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        sparse = matrix.to_sparse().coalesce()
        self.shape = matrix.shape
        self.register_buffer('indices', sparse.indices(), persistent=False)
        self.register_buffer('values', sparse.values(), persistent=False)
        self.indices: Tensor
        self.values: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, N, C)`` to ``(m, N, C)``."""
        with torch.sparse.check_sparse_tensor_invariants(False):  # else torch warns that it does not check
            matrix = torch.sparse_coo_tensor(self.indices, self.values, self.shape, is_coalesced=True)
            return torch.sparse.mm(matrix, x.to(matrix.dtype).flatten(1)).unflatten(1, x.shape[1:])

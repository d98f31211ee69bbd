"""The graph of the features, by hand and against loops; the normalised adjacency against PyTorch Geometric."""

import numpy as np
import pytest
import torch

from slf_mmdet.models.graphs import FeatureGraph
from slf_mmdet.models.graphs.feature_graph import SparseMatrix, normalized


def test_by_hand():
    # b = 2 a, c = -a but for the last sample, d is orthogonal to a and b.
    # Deviations: a (-1, 1, -1, 1), c (1, -1, 1, 3) - 1, d (-1, -1, 1, 1)
    # r(a, b) = 1. r(a, c) = (0 + -2 + 0 + 2) / .. = 0. r(c, d) = (0 + 2 + 0 + 2) / sqrt(8 * 4) = 0.707. r(a, d) = 0
    features = np.array([[0, 0, 1, 0], [2, 4, -1, 0], [0, 0, 1, 2], [2, 4, 3, 2]])
    graph = FeatureGraph(features, 1)
    assert graph.neighbors.tolist() == [[1], [0], [3], [2]]
    torch.testing.assert_close(graph.correlations, torch.tensor([[1], [1], [0.5**0.5], [0.5**0.5]]), atol=1e-6, rtol=0)
    assert graph.neighbors_and_self.tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]


def test_equals_loops():
    features = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    features[:, 3] -= 2 * features[:, 5]  # a negative correlation is one, too
    graph = FeatureGraph(features, 3)
    adjacency = torch.zeros(8, 8)
    for i in range(8):
        r = [0 if i == j else np.corrcoef(features[:, i], features[:, j])[0, 1] for j in range(8)]
        nearest = sorted(range(8), key=lambda j: -abs(r[j]))[:3]
        assert graph.neighbors[i].tolist() == nearest
        for j in nearest:
            adjacency[i, j] = adjacency[j, i] = abs(r[j])
    torch.testing.assert_close(graph.adjacency(), adjacency, atol=1e-5, rtol=0)
    assert graph.correlations[3, 0] < -0.5 and graph.num_nodes == 8


def test_equal_correlations_come_in_their_order():
    column = np.arange(6.0)
    features = np.stack([column, 2 * column, 0.1 * column, column + 1 / 3], axis=1)
    assert FeatureGraph(features, 2).neighbors.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


@pytest.mark.parametrize('k', [0, 4, 1.5])
def test_number_of_neighbors(k):
    with pytest.raises(ValueError, match=rf'num_neighbors must be in \[1, 3\] with 4 features, found {k}'):
        FeatureGraph(np.random.default_rng(0).normal(size=(5, 4)), k)


def test_constant_features():
    features = np.random.default_rng(0).normal(size=(5, 4))
    features[:, [1, 3]] = 2
    with pytest.raises(ValueError, match=r'the features \[1, 3\] have one value in all 5 samples'):
        FeatureGraph(features, 1)


def test_normalized_by_hand():
    # Row sums 1, 4, 3, 0: 1 / sqrt(1 * 4) and 3 / sqrt(4 * 3)
    adjacency = torch.tensor([[0, 1.0, 0, 0], [1, 0, 3, 0], [0, 3, 0, 0], [0, 0, 0, 0]])
    expected = torch.tensor([[0, 0.5, 0, 0], [0.5, 0, 0.75**0.5, 0], [0, 0.75**0.5, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(normalized(adjacency), expected)


def test_a_sparse_matrix_gives_the_matrix_product():
    torch.manual_seed(0)
    matrix, x = torch.randn(4, 4).relu(), torch.randn(4, 3, 2, requires_grad=True)
    sparse = SparseMatrix(matrix)
    out = sparse(x)
    expected = torch.einsum('ij,jbc->ibc', matrix, x)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), x)[0] for y in (out, expected)))
    assert sparse(x.half()).dtype == torch.float32
    assert not any(buffer.is_sparse for buffer in sparse.buffers())  # DistributedDataParallel takes no others

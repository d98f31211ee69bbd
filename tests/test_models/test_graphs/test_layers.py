"""The graph layers against PyTorch Geometric, an eigendecomposition and literal loops; gradients included."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.models.graphs import (
    ChebConv,
    EdgeConditionedConv,
    FeaStConv,
    FeatureGraph,
    GCNConv,
    GraphLocallyConnected,
    SpectralConv,
)

NODES, SAMPLES, IN, OUT = 12, 5, 3, 4
LAYERS = (ChebConv, EdgeConditionedConv, FeaStConv, GCNConv, GraphLocallyConnected, SpectralConv)


@pytest.fixture(scope='module')
def graph():
    return FeatureGraph(np.random.default_rng(0).normal(size=(20, NODES)), 3)


@pytest.fixture
def peer():
    return pytest.importorskip('torch_geometric.nn', reason='torch-geometric, a reference of the tests, is absent')


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(NODES, SAMPLES, IN, requires_grad=True)


def undirected(graph):
    """Edges and weights of the symmetric adjacency matrix, as PyTorch Geometric takes them."""
    adjacency = graph.adjacency()
    edges = adjacency.nonzero().T
    return edges, adjacency[edges[0], edges[1]]


def directed(graph):
    """Edges from each neighbour to its node, and their correlations as attributes."""
    target = torch.arange(NODES).repeat_interleave(graph.neighbors.shape[1])
    return torch.stack([graph.neighbors.flatten(), target]), graph.correlations.flatten().unsqueeze(1)


def check(ours, theirs, x):
    """Values and gradients; theirs has the nodes in the dimension before the last."""
    expected = theirs(x.transpose(0, 1)).transpose(0, 1)
    found = ours(x)
    assert found.shape == (NODES, SAMPLES, OUT)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(found)
    torch.testing.assert_close(*(torch.autograd.grad((y * direction).sum(), x)[0] for y in (found, expected)))


def test_gcn(graph, peer, x):
    ours, theirs = GCNConv(IN, OUT, graph), peer.GCNConv(IN, OUT)
    theirs.load_state_dict({'lin.weight': ours.linear.weight, 'bias': ours.linear.bias})
    edges, weights = undirected(graph)
    check(ours, lambda x: theirs(x, edges, weights), x)


@pytest.mark.parametrize('order', [1, 2, 4])
def test_cheb(order, graph, peer, x):
    ours, theirs = ChebConv(IN, OUT, graph, order), peer.ChebConv(IN, OUT, order)
    parts = ours.linear.weight.split(IN, dim=1)
    theirs.load_state_dict({**{f'lins.{k}.weight': part for k, part in enumerate(parts)}, 'bias': ours.linear.bias})
    edges, weights = undirected(graph)
    check(ours, lambda x: theirs(x, edges, weights), x)


def test_edge_conditioned(graph, peer, x):
    ours = EdgeConditionedConv(IN, OUT, graph, hidden_dim=6)
    theirs = peer.NNConv(IN, OUT, ours.edge_network, aggr='mean')
    theirs.lin.load_state_dict({'weight': ours.root.weight})
    theirs.bias.data.copy_(ours.root.bias)
    edges, attributes = directed(graph)

    def each(x):  # their weights of the edges do not broadcast over samples
        return torch.stack([theirs(sample, edges, attributes) for sample in x])

    check(ours, each, x)


def test_feast(graph, peer, x):
    ours, theirs = FeaStConv(IN, OUT, graph, heads=3), peer.FeaStConv(IN, OUT, heads=3)
    torch.nn.init.normal_(ours.offset)
    by_head = ours.linear.weight.unflatten(1, (3, IN)).permute(1, 0, 2).flatten(0, 1)
    theirs.load_state_dict(
        {'lin.weight': by_head, 'u.weight': ours.assignment.weight, 'c': ours.offset, 'bias': ours.linear.bias}
    )
    edges, _ = directed(graph)
    check(ours, lambda x: torch.stack([theirs(sample, edges) for sample in x]), x)


@pytest.mark.parametrize('count', [None, 5])
def test_spectral_equals_an_eigendecomposition(count, graph, x):
    layer = SpectralConv(IN, OUT, graph, count)
    torch.nn.init.normal_(layer.bias)
    adjacency = graph.adjacency().double().numpy()
    degree = np.diag(adjacency.sum(1) ** -0.5)
    frequencies, vectors = np.linalg.eigh(np.eye(NODES) - degree @ adjacency @ degree)
    assert frequencies[0] == pytest.approx(0, abs=1e-6) and frequencies[-1] <= 2
    theta, values = layer.multipliers.detach().double().numpy(), x.detach().double().numpy()
    expected = np.zeros((NODES, SAMPLES, OUT))
    for o in range(OUT):
        for c in range(IN):
            U = vectors[:, :count]
            expected[:, :, o] += U @ np.diag(theta[:, c, o]) @ U.T @ values[:, :, c]
    expected += layer.bias.detach().double().numpy()
    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-5)


def test_spectral_with_a_polynomial_of_the_frequency_is_one_of_the_laplacian(graph, x):
    # U (lambda ** 2) U' = L ** 2, without an eigendecomposition on the right
    layer = SpectralConv(1, 1, graph)
    scale = graph.adjacency().sum(1).rsqrt()
    laplacian = torch.eye(NODES) - scale.unsqueeze(1) * graph.adjacency() * scale
    with torch.no_grad():
        layer.multipliers.copy_((torch.linalg.eigvalsh(laplacian) ** 2).view(-1, 1, 1))
    x = x[..., :1]
    expected = torch.einsum('ij,jbc->ibc', laplacian @ laplacian, x)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_locally_connected_equals_loops(graph, x):
    layer = GraphLocallyConnected(IN, OUT, graph)
    expected = torch.zeros(NODES, SAMPLES, OUT)
    for i in range(NODES):
        for n in range(SAMPLES):
            expected[i, n] = layer.bias[i, 0]
            for slot, j in enumerate([i, *graph.neighbors[i].tolist()]):
                expected[i, n] += x[j, n] @ layer.weight[i, slot]
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize('kind', LAYERS)
def test_samples_do_not_affect_each_other(kind, graph, x):
    torch.manual_seed(0)
    layer = MODELS.build(dict(type=kind.__name__, in_channels=IN, out_channels=OUT, graph=graph))
    out = layer(x)
    torch.testing.assert_close(out[:, 1:2], layer(x[:, 1:2]))
    (gradient,) = torch.autograd.grad(out[:, 1].sum(), x)
    assert gradient[:, 1].abs().sum() > 0 and not gradient[:, 0].any()


@pytest.mark.parametrize('kind', LAYERS)
def test_every_parameter_is_used(kind, graph, x):
    layer = kind(IN, OUT, graph)
    layer(x).square().sum().backward()
    assert all(parameter.grad.any() for parameter in layer.parameters())


@pytest.mark.parametrize('kind', LAYERS)
def test_only_the_basis_of_a_graph_is_stored(kind, graph):
    buffers = set(kind(IN, OUT, graph).state_dict()) - {name for name, _ in kind(IN, OUT, graph).named_parameters()}
    assert buffers == ({'basis'} if kind is SpectralConv else set())


@pytest.mark.parametrize(
    ('kind', 'settings', 'message'),
    [
        (ChebConv, dict(order=0), 'ChebConv: order must be an integer >= 1, found 0'),
        (EdgeConditionedConv, dict(hidden_dim=0), 'EdgeConditionedConv: hidden_dim must be an integer >= 1, found 0'),
        (FeaStConv, dict(heads='4'), "FeaStConv: heads must be an integer >= 1, found '4'"),
        (SpectralConv, dict(num_frequencies=13), r'num_frequencies must be None or in \[1, 12\], found 13'),
    ],
)
def test_wrong_settings(kind, settings, message, graph):
    with pytest.raises(ValueError, match=message):
        kind(IN, OUT, graph, **settings)

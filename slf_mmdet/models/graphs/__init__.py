"""Regression over one fixed graph, whose nodes are the features: six kinds of layers, and the model."""

from .cheb import ChebConv
from .edge_conditioned import EdgeConditionedConv
from .feast import FeaStConv
from .feature_graph import FeatureGraph
from .gcn import GCNConv
from .locally_connected import GraphLocallyConnected
from .regressor import GraphRegressor
from .spectral import SpectralConv

__all__ = [
    'ChebConv',
    'EdgeConditionedConv',
    'FeaStConv',
    'FeatureGraph',
    'GCNConv',
    'GraphLocallyConnected',
    'GraphRegressor',
    'SpectralConv',
]

"""Clustering of images."""

from .dac import DeepAdaptiveClusterer, labelled_pairs, pair_similarities
from .dac_network import DACNetwork

__all__ = ['DACNetwork', 'DeepAdaptiveClusterer', 'labelled_pairs', 'pair_similarities']

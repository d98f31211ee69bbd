"""Metrics of tasks that are not detection."""

from .clustering import ClusteringMetric, clustering_accuracy

__all__ = ['ClusteringMetric', 'clustering_accuracy']

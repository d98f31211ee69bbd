"""Layers that neither PyTorch nor mmcv has."""

from .locally_connected import LocallyConnected2d

__all__ = ['LocallyConnected2d']

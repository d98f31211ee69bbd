"""Metrics of the tasks beside detection, registered in mmdet's registry."""

from .bleu import BLEUMetric, prefix_bleu, sentence_bleu

__all__ = ['BLEUMetric', 'prefix_bleu', 'sentence_bleu']

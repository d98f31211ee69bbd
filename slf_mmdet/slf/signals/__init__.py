"""Signals: what tells the decision network which part deserves weight. One file each."""

from .base import ComparingSignal, Signal
from .delta_ap import DeltaAP
from .gradient_alignment import GradientAlignment
from .loss_rate import LossRate
from .relative_loss import RelativeLoss
from .training_loss import TrainingLoss
from .validation import ValidationSignal

__all__ = [
    'ComparingSignal',
    'DeltaAP',
    'GradientAlignment',
    'LossRate',
    'RelativeLoss',
    'Signal',
    'TrainingLoss',
    'ValidationSignal',
]

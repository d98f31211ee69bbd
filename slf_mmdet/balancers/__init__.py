"""Balancers: loss parts in, weights out, one objective. They know nothing of detectors or configs."""

from .base import LossBalancer, Weighing
from .decision import DecisionNetwork
from .gumbel import multiple_gumbel_softmax
from .rlw import RLWBalancer
from .sampling import SampledWeights
from .slf import SLFBalancer
from .static import StaticBalancer

__all__ = [
    'DecisionNetwork',
    'LossBalancer',
    'RLWBalancer',
    'SLFBalancer',
    'SampledWeights',
    'StaticBalancer',
    'Weighing',
    'multiple_gumbel_softmax',
]

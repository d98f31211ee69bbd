"""The Stochastic Loss Function: decision network, samplers, priors and signals, and the balancers that they make up."""

from .algorithm1 import PaperSLFBalancer
from .balancer import SLFBalancer
from .decision_balancer import DecisionBalancer
from .decision_loss import decision_loss
from .decision_network import DecisionNetwork
from .gumbel_softmax import multiple_gumbel_softmax, stratified_gumbel_softmax
from .ldc_mtl import LDCMTLBalancer
from .priors import BaseWeights, EqualGradientNorms, EqualWeights, Prior
from .samplers import MultipleGumbelSoftmax, Sampler, SelectiveCode, Softmax, StratifiedGumbelSoftmax
from .signals import (
    ComparingSignal,
    DeltaAP,
    GradientAlignment,
    LossRate,
    RelativeLoss,
    Signal,
    TrainingLoss,
    ValidationSignal,
)

__all__ = [
    'BaseWeights',
    'ComparingSignal',
    'DecisionBalancer',
    'DecisionNetwork',
    'DeltaAP',
    'EqualGradientNorms',
    'EqualWeights',
    'GradientAlignment',
    'LDCMTLBalancer',
    'LossRate',
    'MultipleGumbelSoftmax',
    'PaperSLFBalancer',
    'Prior',
    'RelativeLoss',
    'SLFBalancer',
    'Sampler',
    'SelectiveCode',
    'Signal',
    'Softmax',
    'StratifiedGumbelSoftmax',
    'TrainingLoss',
    'ValidationSignal',
    'decision_loss',
    'multiple_gumbel_softmax',
    'stratified_gumbel_softmax',
]

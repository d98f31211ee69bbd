"""Balancers: loss parts in, weights out, one objective. They know nothing of detectors or configs."""

from .base import BalancedStep, LossBalancer, Weighing
from .config import checked_balancer
from .cov import CoVBalancer
from .decision import DecisionNetwork
from .dwa import DWABalancer
from .famo import FAMOBalancer
from .gls import GLSBalancer
from .gradnorm import GradNormBalancer
from .gumbel import multiple_gumbel_softmax
from .imtl_l import IMTLLBalancer
from .log_transform import LogBalancer
from .relobralo import ReLoBRaLoBalancer
from .rlw import RLWBalancer
from .sampling import SampledWeights
from .scheduled import ScheduledBalancer
from .slf import SLFBalancer
from .softadapt import SoftAdaptBalancer
from .static import StaticBalancer
from .stch import STCHBalancer
from .uncertainty import UncertaintyBalancer

__all__ = [
    'BalancedStep',
    'CoVBalancer',
    'DWABalancer',
    'DecisionNetwork',
    'FAMOBalancer',
    'GLSBalancer',
    'GradNormBalancer',
    'IMTLLBalancer',
    'LogBalancer',
    'LossBalancer',
    'RLWBalancer',
    'ReLoBRaLoBalancer',
    'SLFBalancer',
    'STCHBalancer',
    'SampledWeights',
    'ScheduledBalancer',
    'SoftAdaptBalancer',
    'StaticBalancer',
    'UncertaintyBalancer',
    'Weighing',
    'checked_balancer',
    'multiple_gumbel_softmax',
]

"""Balancers: loss parts in, weights out, one objective. They know nothing of detectors or configs."""

from .base import BalancerOutput, LossBalancer, StepRecord
from .checked_config import checked_balancer
from .cov import CoVBalancer
from .detection_quality import DetectionQuality
from .dwa import DWABalancer
from .famo import FAMOBalancer
from .gls import GLSBalancer
from .gradnorm import GradNormBalancer
from .grap import GraPBalancer
from .imtl_l import IMTLLBalancer
from .log_transform import LogBalancer
from .relobralo import ReLoBRaLoBalancer
from .rlw import RLWBalancer
from .scheduled import ScheduledBalancer
from .sharded import ShardedTrainingError, refuse_strategies
from .softadapt import SoftAdaptBalancer
from .static import StaticBalancer
from .stch import STCHBalancer
from .step import Step
from .uncertainty import UncertaintyBalancer
from .uwso import UWSOBalancer

__all__ = [
    'BalancerOutput',
    'CoVBalancer',
    'DWABalancer',
    'DetectionQuality',
    'FAMOBalancer',
    'GLSBalancer',
    'GraPBalancer',
    'GradNormBalancer',
    'IMTLLBalancer',
    'LogBalancer',
    'LossBalancer',
    'RLWBalancer',
    'ReLoBRaLoBalancer',
    'STCHBalancer',
    'ScheduledBalancer',
    'ShardedTrainingError',
    'SoftAdaptBalancer',
    'StaticBalancer',
    'Step',
    'StepRecord',
    'UWSOBalancer',
    'UncertaintyBalancer',
    'checked_balancer',
]

refuse_strategies(LossBalancer)

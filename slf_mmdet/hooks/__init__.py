"""Hooks that monitor a training and guard it."""

from .balance_monitor import BalanceMonitorHook
from .candidate_weights import CandidateWeightsHook
from .collapse import Diagnosis, PartBalance, diagnose
from .collapse_guard import CollapseGuardHook
from .non_finite_guard import NonFiniteError, NonFiniteGuardHook
from .precision_recall import PrecisionRecallHook
from .random_state import RandomStateHook
from .restored_pictures import RestoredPicturesHook
from .safe_resume import BrokenCheckpointError, SafeResumeHook
from .sample_grid import SampleGridHook
from .weight_picture import WeightPictureHook

__all__ = [
    'BalanceMonitorHook',
    'BrokenCheckpointError',
    'CandidateWeightsHook',
    'CollapseGuardHook',
    'Diagnosis',
    'NonFiniteError',
    'NonFiniteGuardHook',
    'PartBalance',
    'PrecisionRecallHook',
    'RandomStateHook',
    'RestoredPicturesHook',
    'SafeResumeHook',
    'SampleGridHook',
    'WeightPictureHook',
    'diagnose',
]

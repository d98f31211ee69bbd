"""Hooks: what watches a run."""

from .balance_monitor import BalanceMonitorHook
from .candidate_weights import CandidateWeightsHook
from .collapse import Diagnosis, PartBalance, advice, diagnose
from .collapse_guard import CollapseGuardHook

__all__ = [
    'BalanceMonitorHook',
    'CandidateWeightsHook',
    'CollapseGuardHook',
    'Diagnosis',
    'PartBalance',
    'advice',
    'diagnose',
]

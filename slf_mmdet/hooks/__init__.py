"""Hooks: what watches a run."""

from .candidate_weights import CandidateWeightsHook
from .non_finite_guard import NonFiniteError, NonFiniteGuardHook
from .random_state import RandomStateHook
from .safe_resume import BrokenCheckpointError, SafeResumeHook

__all__ = [
    'BrokenCheckpointError',
    'CandidateWeightsHook',
    'NonFiniteError',
    'NonFiniteGuardHook',
    'RandomStateHook',
    'SafeResumeHook',
]

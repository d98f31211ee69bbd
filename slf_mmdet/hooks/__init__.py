"""Hooks: what watches a run."""

from .candidate_weights import CandidateWeightsHook

__all__ = ['CandidateWeightsHook']

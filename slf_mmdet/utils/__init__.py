"""Helpers that know nothing of losses or detectors."""

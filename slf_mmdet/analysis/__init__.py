"""Reads and plots the logs of a run: the library behind ``tools/analysis_tools``."""

from .logs import Curve, find_logs, part_names, read_curves, read_validations
from .seeds import Band, group_by_seed, over_seeds
from .trajectories import draw_trajectories

__all__ = [
    'Band',
    'Curve',
    'draw_trajectories',
    'find_logs',
    'group_by_seed',
    'over_seeds',
    'part_names',
    'read_curves',
    'read_validations',
]

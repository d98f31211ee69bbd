"""Compares balancers, configs or options: arms x seeds of ordinary runs, paired by seed, in one table."""

from .arms import Arm, ConfigArm, OptionsArm, parse_configs, parse_options
from .balancer_arms import BalancerArm, grid_arms, parse_arm
from .engines import LocalEngine, RayEngine
from .experiment import Experiment
from .lock import BusyError, locked
from .parts import parse_parts, with_parts
from .planned_run import Run
from .report import Report
from .weight_search import WeightSearch

__all__ = [
    'Arm',
    'BalancerArm',
    'BusyError',
    'ConfigArm',
    'Experiment',
    'LocalEngine',
    'OptionsArm',
    'RayEngine',
    'Report',
    'Run',
    'WeightSearch',
    'grid_arms',
    'locked',
    'parse_arm',
    'parse_configs',
    'parse_options',
    'parse_parts',
    'with_parts',
]

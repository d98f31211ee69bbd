"""Compares balancers, configs or options: arms x seeds of ordinary runs, paired by seed, in one table."""

from .arms import Arm, ConfigArm, OptionsArm, parse_configs, parse_options
from .balancer_arms import BalancerArm, find_arms, parse_arm
from .experiment import Experiment, Run
from .lock import BusyError, locked
from .parts import parse_parts, with_parts
from .report import Report

__all__ = [
    'Arm',
    'BalancerArm',
    'BusyError',
    'ConfigArm',
    'Experiment',
    'OptionsArm',
    'Report',
    'Run',
    'find_arms',
    'locked',
    'parse_arm',
    'parse_configs',
    'parse_options',
    'parse_parts',
    'with_parts',
]

"""Compares what a config can be changed in: columns x seeds of ordinary runs, paired, in one table."""

from .balancer_columns import BalancerColumn, find_columns, parse_column
from .columns import Column, ConfigColumn, OptionsColumn, parse_configs, parse_options
from .plan import Cell, Plan
from .report import Report

__all__ = [
    'BalancerColumn',
    'Cell',
    'Column',
    'ConfigColumn',
    'OptionsColumn',
    'Plan',
    'Report',
    'find_columns',
    'parse_column',
    'parse_configs',
    'parse_options',
]

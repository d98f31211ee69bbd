"""Compares balancers on one config: columns x seeds of ordinary runs, paired, in one table."""

from .columns import Column, find_columns, parse_column, set_balancer
from .plan import Cell, Plan
from .report import Report

__all__ = ['Cell', 'Column', 'Plan', 'Report', 'find_columns', 'parse_column', 'set_balancer']

"""Where the runs of a comparison are computed: processes of this machine, or tasks of a Ray cluster."""

from .base import Engine, StartedRun
from .local import LocalEngine
from .ray_cluster import RayEngine

__all__ = ['Engine', 'LocalEngine', 'RayEngine', 'StartedRun']

"""What SLF would do with a detector, measured on a few batches: ``slf-mmdet probe``."""

from .measure import Measurement, measure
from .picture import draw
from .recorder import Recorder
from .verdict import Verdict, judge

__all__ = ['Measurement', 'Recorder', 'Verdict', 'draw', 'judge', 'measure']

"""What a comparison needs of the machines that compute its runs."""

from abc import ABCMeta, abstractmethod
from pathlib import Path
from typing import Optional

LOG = 'log.txt'


class StartedRun(metaclass=ABCMeta):
    """A run that was started, or waits for its turn."""

    @abstractmethod
    def end(self) -> Optional[str]:
        """How it ended, in words; ``None`` while it has not."""

    @abstractmethod
    def stop(self) -> None:
        """Asks it to end, without waiting for that."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Waits until a run that was stopped has ended, and kills it after some time.

        Args:
            seconds: until it is killed.
        """


class Engine(metaclass=ABCMeta):
    """Computes runs.

    Args:
        jobs: how many runs it is given at a time.

    Raises:
        ValueError: ``jobs`` is below 1.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise ValueError(f'--jobs must be >= 1, found {jobs}.')
        self.jobs = jobs

    @abstractmethod
    def start(self, folder: Path, slot: int) -> StartedRun:
        """Starts ``python -m slf_mmdet.comparison.run FOLDER``, with its output in ``FOLDER/log.txt``.

        Args:
            folder: of the run, which has its ``config.py``.
            slot: from 0 to ``jobs - 1``, in which no other run is.
        """

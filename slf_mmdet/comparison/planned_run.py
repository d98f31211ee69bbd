"""A run of a comparison: one arm with one seed, and what it has left in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

from .arms import Arm
from .record import PROGRESS, RESULT, START


@dataclass(frozen=True, eq=False)
class Run:
    """One arm with one seed.

    Args:
        arm: what it does to the config.
        seed: of the run.
        folder: its work dir.
    """

    arm: Arm
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        return f'{self.arm.label}, seed {self.seed}'

    @property
    def start_file(self) -> Path:
        """The initial network of all runs of its seed, see PairedStartHook."""
        return self.folder.parents[1] / f'start_seed_{self.seed}.pth'

    def result(self) -> Optional[dict]:
        """What the run left, or ``None`` while it is not finished.

        Raises:
            ValueError: the file is damaged.
        """
        path = self.folder / RESULT
        try:
            return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None
        except ValueError as error:
            raise ValueError(f'{path} is damaged ({error}). Delete it to repeat the evaluation of this run.') from None

    def start(self) -> Dict[str, list]:
        """The network that the run began with, see :func:`~.record.describe_network`; empty where it is unknown."""
        path = self.folder / START
        return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}

    def progress(self) -> Tuple[int, int]:
        """Iterations done and in all; 0 and 0 where the run has not reported them yet."""
        try:
            done, total = (self.folder / PROGRESS).read_text(encoding='utf-8').split()
            return int(done), int(total)
        except (OSError, ValueError):
            return 0, 0


def first_ready(waiting: Sequence[Run], running: Sequence[Run]) -> Optional[Run]:
    """The first run that may start: the others of a seed wait for the network of the first."""
    begun = {run.seed for run in running if not run.start_file.exists()}
    return next((run for run in waiting if run.seed not in begun), None)

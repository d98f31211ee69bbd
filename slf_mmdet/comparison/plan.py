"""The cells of a comparison, and running those that are still missing."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .columns import Column, check_distinct
from .record import PROGRESS, RESULT, START

LOG = 'log.txt'
GRACE = 20  # seconds that a run has to end by itself


@dataclass(frozen=True, eq=False)
class Cell:
    """One column with one seed.

    Args:
        column: what it does to the config.
        seed: of the run.
        folder: its work dir.
    """

    column: Column
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        return f'{self.column.label}, seed {self.seed}'

    def result(self) -> Optional[dict]:
        """What the run left, or ``None`` while it is not finished."""
        path = self.folder / RESULT
        return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None

    def start(self) -> Dict[str, list]:
        """The network that the run began with, see :func:`~.record.describe_network`; empty if it did not tell."""
        path = self.folder / START
        return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}

    def progress(self) -> Tuple[int, int]:
        """Iterations done and in all, as far as the run has told."""
        try:
            done, total = (self.folder / PROGRESS).read_text(encoding='utf-8').split()
            return int(done), int(total)
        except (OSError, ValueError):
            return 0, 0


class Plan:
    """Columns x seeds of one config.

    Args:
        cfg: the config, with all options merged.
        columns: the first one is what the others are compared with.
        seeds: each column runs with each of them.
        work_dir: of the comparison; each cell has a folder in it.

    Raises:
        ValueError: two columns have one name, or a column cannot be applied to the config.
    """

    def __init__(self, cfg: Config, columns: Sequence[Column], seeds: Sequence[int], work_dir: Path) -> None:
        check_distinct(list(columns))
        self.cfg = cfg
        self.work_dir = work_dir.absolute()
        self.columns = list(columns)
        self.seeds = list(seeds)
        self.cells = [
            Cell(column, seed, self.work_dir / column.folder / f'seed_{seed}')
            for seed, column in itertools.product(self.seeds, self.columns)
        ]
        self._configs = {cell: self._config(cell) for cell in self.cells}

    def _config(self, cell: Cell) -> str:
        cfg = cell.column.apply(self.cfg)
        cfg.work_dir = str(cell.folder)
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=cell.seed)
        start = self.work_dir / f'start_seed_{cell.seed}.pth'
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            dict(type='PairedStartHook', file=str(start), seed=cell.seed),
            dict(type='CellRecordHook', folder=str(cell.folder)),
        ]
        return cfg.pretty_text

    def prepare(self) -> List[Cell]:
        """Writes the configs of the cells; returns those that have no result yet.

        Raises:
            ValueError: the work dir holds a cell of the same name with other settings.
        """
        for cell, text in self._configs.items():
            path = cell.folder / 'config.py'
            if path.is_file() and path.read_text(encoding='utf-8') != text:
                raise ValueError(
                    f'{path} has other settings than this comparison. Use another --work-dir, or delete the folder '
                    f'{cell.folder} to run this cell again.'
                )
        for cell, text in self._configs.items():
            cell.folder.mkdir(parents=True, exist_ok=True)
            (cell.folder / 'config.py').write_text(text, encoding='utf-8')
        return [cell for cell in self.cells if cell.result() is None]

    def run(self, jobs: int = 1, console: Optional[Console] = None) -> List[Cell]:
        """Runs the cells that have no result yet, ``jobs`` at a time.

        Each process gets its share of the cores and, round robin, one of the GPUs. A cell that fails is reported and
        the others go on; an interruption ends all of them, and the next call continues where they stopped.

        Returns:
            The cells that failed.
        """
        waiting = self.prepare()
        console = console or Console()
        running: Dict[Cell, Tuple[subprocess.Popen, int, TaskID]] = {}
        failed: List[Cell] = []
        slots = list(range(jobs))
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with _terminated() as asked_to_end, Progress(*columns, console=console, refresh_per_second=2) as bars:
            done = len(self.cells) - len(waiting)
            overall = bars.add_task('runs', total=len(self.cells), completed=done)
            try:
                while waiting or running:
                    if asked_to_end():
                        sys.exit(128 + signal.SIGTERM)
                    while waiting and slots:
                        cell, slot = waiting.pop(0), slots.pop(0)
                        running[cell] = (self._start(cell, slot, jobs), slot, bars.add_task(cell.name, total=None))
                    for cell, (process, slot, bar) in list(running.items()):
                        iters, total = cell.progress()
                        bars.update(bar, completed=iters, total=total or None)
                        if process.poll() is None:
                            continue
                        del running[cell]
                        slots.append(slot)
                        bars.remove_task(bar)
                        bars.advance(overall)
                        if process.returncode or cell.result() is None:
                            failed.append(cell)
                            console.print(f'[red]failed[/]: {cell.name}\n{_tail(cell.folder / LOG)}', markup=True)
                    time.sleep(0.2)
            finally:
                for process, _, _ in running.values():
                    process.terminate()
                for process, _, _ in running.values():
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(GRACE)
                    process.kill()  # nothing where it has ended
                    process.wait()
        return failed

    def _start(self, cell: Cell, slot: int, jobs: int) -> subprocess.Popen:
        env = dict(os.environ)
        env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))
        if torch.cuda.device_count() > 1:
            env['CUDA_VISIBLE_DEVICES'] = str(slot % torch.cuda.device_count())
        with open(cell.folder / LOG, 'a', encoding='utf-8') as log:
            return subprocess.Popen(
                [sys.executable, '-m', 'slf_mmdet.comparison.cell', str(cell.folder)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
            )


@contextlib.contextmanager
def _terminated() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether SIGTERM has come, which would end this process and leave its runs behind.

    To be told and not interrupted matters: a run may just be starting, and nobody would know it.
    """
    came: List[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGTERM, before)


def _tail(path: Path, lines: int = 15) -> str:
    return escape('\n'.join(path.read_text(encoding='utf-8', errors='replace').splitlines()[-lines:]))

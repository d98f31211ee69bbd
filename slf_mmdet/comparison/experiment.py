"""The runs of a comparison, and starting those that are still missing."""

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
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..utils.files import remove_partial, write_text, writing
from .arms import Arm, check_distinct
from .balancer_arms import check_balancers
from .lock import locked
from .parts import check_parts
from .record import PROGRESS, RESULT, START
from .run_process import describe_end, start_run

LOG = 'log.txt'
GRACE = 20  # seconds that a run has to end by itself


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


class Experiment:
    """Arms x seeds of one config.

    Args:
        cfg: the config, with all options merged.
        arms: the first one is what the others are compared with.
        seeds: each arm is run with each of them.
        work_dir: of the comparison; each run has a folder in it.

    Raises:
        ValueError: two arms have one name, an arm cannot be applied to the config, a balancer has no such setting, or
            its parts do not match the losses of the detector.
    """

    def __init__(self, cfg: Config, arms: Sequence[Arm], seeds: Sequence[int], work_dir: Path) -> None:
        check_distinct(arms)
        for arm in arms:
            applied = arm.apply(cfg)
            check_balancers(applied, arm.label)
            check_parts(applied, arm.label)
        self.cfg = cfg
        self.work_dir = work_dir.absolute()
        self.arms = list(arms)
        self.seeds = list(seeds)
        self.runs = [
            Run(arm, seed, self.work_dir / arm.folder / f'seed_{seed}')
            for seed, arm in itertools.product(self.seeds, self.arms)
        ]

    def _config(self, run: Run) -> str:
        cfg = run.arm.apply(self.cfg)
        cfg.work_dir = str(run.folder)
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=run.seed)
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            *([] if _has_hook(cfg, 'RandomStateHook') else [dict(type='mmdet.RandomStateHook')]),
            dict(type='PairedStartHook', file=str(self._start_file(run.seed)), seed=run.seed),
            dict(type='RunRecordHook', folder=str(run.folder)),
        ]
        return cfg.pretty_text

    def _start_file(self, seed: int) -> Path:
        return self.work_dir / f'start_seed_{seed}.pth'

    def prepare(self) -> List[Run]:
        """Writes the configs of the runs; returns those that have no result yet.

        Raises:
            ValueError: the work dir holds a run of the same name with other settings.
        """
        configs = {run: self._config(run) for run in self.runs}
        for run, text in configs.items():
            path = run.folder / 'config.py'
            if path.is_file() and path.read_text(encoding='utf-8') != text:
                raise ValueError(
                    f'{path} has other settings than this comparison. Use another --work-dir, or delete the folder '
                    f'{run.folder} to start this run again.'
                )
        for run, text in configs.items():
            with writing(run.folder):
                run.folder.mkdir(parents=True, exist_ok=True)
            write_text(run.folder / 'config.py', text)
        return [run for run in self.runs if run.result() is None]

    def run(self, jobs: int = 1, console: Optional[Console] = None) -> List[Run]:
        """Starts the runs that have no result yet, ``jobs`` at a time.

        Each process gets its share of the cores and, round robin, one of the GPUs. A run that fails is reported and
        the others go on; an interruption ends all of them, and the next call continues where they stopped.

        Returns:
            The runs that failed.

        Raises:
            BusyError: another process runs a comparison in the work dir.
            OSError: the work dir cannot be written.
        """
        with locked(self.work_dir):
            for folder in (self.work_dir, *(run.folder for run in self.runs)):
                remove_partial(folder)
            return self._run(self.prepare(), jobs, console or Console())

    def _run(self, waiting: List[Run], jobs: int, console: Console) -> List[Run]:
        running: Dict[Run, Tuple[subprocess.Popen, int, TaskID]] = {}
        failed: List[Run] = []
        slots = list(range(jobs))
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with _terminated() as asked_to_end, Progress(*columns, console=console, auto_refresh=False) as bars:
            done = len(self.runs) - len(waiting)
            overall = bars.add_task('runs', total=len(self.runs), completed=done)
            try:
                while waiting or running:
                    if asked_to_end():
                        sys.exit(128 + signal.SIGTERM)
                    while slots and (ready := self._ready(waiting, running)) is not None:
                        waiting.remove(ready)
                        slot = slots.pop(0)
                        bar = bars.add_task(escape(ready.name), total=None)
                        running[ready] = (self._start(ready, slot, jobs), slot, bar)
                    for run, (process, slot, bar) in list(running.items()):
                        iters, total = run.progress()
                        bars.update(bar, completed=iters, total=total or None)
                        if process.poll() is None:
                            continue
                        del running[run]
                        slots.append(slot)
                        bars.remove_task(bar)
                        bars.advance(overall)
                        if run.result() is None:
                            failed.append(run)
                            end = f'{run.name}: {describe_end(process.returncode)}'
                            console.print(f'[red]failed[/]: {escape(end)}\n{_tail(run.folder / LOG)}', markup=True)
                    bars.refresh()
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

    def _ready(self, waiting: Sequence[Run], running: Iterable[Run]) -> Optional[Run]:
        """The first run that may start. The others of a seed wait for the network of the first, see PairedStartHook."""
        begun = {run.seed for run in running if not self._start_file(run.seed).exists()}
        return next((run for run in waiting if run.seed not in begun), None)

    def _start(self, run: Run, slot: int, jobs: int) -> subprocess.Popen:
        env = dict(os.environ)
        env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))
        if torch.cuda.device_count() > 1:
            env['CUDA_VISIBLE_DEVICES'] = str(slot % torch.cuda.device_count())
        return start_run(run.folder, run.folder / LOG, env)


@contextlib.contextmanager
def _terminated() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether SIGTERM was received, which would end this process and not its runs.

    It must not raise: a run may just be starting, and an exception there would lose track of its process.
    """
    came: List[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGTERM, before)


def _has_hook(cfg: Config, name: str) -> bool:
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    kinds = [hook.get('type') if isinstance(hook, dict) else type(hook) for hook in hooks]
    return name in [getattr(kind, '__name__', str(kind).rpartition('.')[2]) for kind in kinds]


def _tail(path: Path, lines: int = 15) -> str:
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''
    return escape('\n'.join(text.splitlines()[-lines:]))

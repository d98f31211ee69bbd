"""The runs that are computed at the moment, with a bar for each of them."""

import signal
import sys
import time
from types import TracebackType
from typing import Any, Dict, List, NamedTuple, Optional, Type

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .engines import Engine, StartedRun
from .engines.base import LOG
from .planned_run import Run

GRACE = 20  # seconds that a run has to end by itself
PAUSE = 0.2  # seconds between two looks at the runs


class _Slot(NamedTuple):
    started: StartedRun
    number: int
    bar: TaskID


class RunPool:
    """Starts runs on an engine and waits for them; a context, at whose end none of them is left.

    SIGTERM, which would end this process and not its runs, ends the context.

    Args:
        engine: where they are computed.
        console: for the progress, and the log of a run without a result.
        total: number of runs, for the bar of all.
        done: how many of them are finished.
    """

    def __init__(self, engine: Engine, console: Console, total: int, done: int = 0) -> None:
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._engine = engine
        self._console = console
        self._bars = Progress(*columns, console=console, auto_refresh=False)
        self._overall = self._bars.add_task('runs', total=total, completed=done)
        self._slots: Dict[Run, _Slot] = {}
        self._terminated = False
        self._handler: Any = None

    def __enter__(self) -> 'RunPool':
        # It must not raise: a run may just be starting, and an exception there would lose track of its process
        self._handler = signal.signal(signal.SIGTERM, self._on_sigterm)
        self._bars.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            for slot in self._slots.values():
                slot.started.stop()
            for slot in self._slots.values():
                slot.started.wait(GRACE)
        finally:
            self._bars.stop()
            signal.signal(signal.SIGTERM, self._handler)

    @property
    def running(self) -> List[Run]:
        """Those that were started and have not ended, as far as :meth:`ended` knows."""
        return list(self._slots)

    @property
    def has_room(self) -> bool:
        """Whether the engine takes one more run."""
        return len(self._slots) < self._engine.jobs

    def start(self, run: Run) -> None:
        """Starts a run, whose folder is prepared."""
        used = {slot.number for slot in self._slots.values()}
        number = next(number for number in range(self._engine.jobs) if number not in used)
        started = self._engine.start(run.folder, number)
        self._slots[run] = _Slot(started, number, self._bars.add_task(escape(run.name), total=None))
        self._end_if_terminated()

    def stop(self, run: Run) -> None:
        """Ends a run before its time."""
        slot = self._slots.pop(run)
        slot.started.stop()
        slot.started.wait(GRACE)
        self._finish(slot)

    def ended(self) -> List[Run]:
        """Waits a moment; returns the runs that have ended since, after printing how those without a result did."""
        self._end_if_terminated()
        time.sleep(PAUSE)
        gone = []
        for run, slot in list(self._slots.items()):
            iterations, total = run.progress()
            self._bars.update(slot.bar, completed=iterations, total=total or None)
            end = slot.started.end()
            if end is None:
                continue
            del self._slots[run]
            slot.started.wait(GRACE)
            self._finish(slot)
            gone.append(run)
            if run.result() is None:
                self._console.print(f'[red]failed[/]: {escape(f"{run.name}: {end}")}\n{_tail(run)}', markup=True)
        self._bars.refresh()
        return gone

    def _finish(self, slot: _Slot) -> None:
        self._bars.remove_task(slot.bar)
        self._bars.advance(self._overall)

    def _on_sigterm(self, number: int, frame: Any) -> None:
        self._terminated = True

    def _end_if_terminated(self) -> None:
        if self._terminated:
            sys.exit(128 + signal.SIGTERM)


def _tail(run: Run, lines: int = 15) -> str:
    """The end of a run's log."""
    try:
        text = (run.folder / LOG).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''
    return escape('\n'.join(text.splitlines()[-lines:]))

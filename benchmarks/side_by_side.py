"""Measures variants side by side: interleaved rounds, ratios within a round, medians over rounds.

Slowdowns of the machine affect all variants of a round, so ratios within a round vary less than averages over time. On
a CPU the process runs one thread, and its CPU time is measured, which other processes disturb less than wall time. On a
GPU it is wall time between two synchronisations.
"""

import argparse
import datetime
import math
import platform
import statistics
import time
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

import torch
from rich import box
from rich.console import Console
from rich.table import Table


class Ratio(NamedTuple):
    """Median of ratios, with the 95 % interval of a median (order statistics).

    Attributes:
        median: of the rounds.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = 3 if self.median < 10 else 1
        return f'{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})'


def parser(doc: Optional[str], rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks share.

    Args:
        doc: docstring of the script.
        rounds: default number of rounds.
    """
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('--rounds', type=int, default=rounds, help=f'interleaved repeats (default: {rounds})')
    made.add_argument('--quick', action='store_true', help='smallest setting, to check that the script runs')
    made.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return made


def prepare(args: argparse.Namespace) -> torch.device:
    """Sets one thread, a fixed seed and cuDNN's benchmark mode; ``--quick`` means two rounds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    if args.quick:
        args.rounds = 2
    return torch.device(args.device)


def now(device: torch.device) -> float:
    """Seconds: CPU time of this process, or wall time once the GPU has finished."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def side_by_side(
    variants: Mapping[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    warmup: int = 2,
    repeats: int = 1,
) -> Dict[str, List[float]]:
    """Calls every variant once in each round, in rotating order.

    Args:
        variants: name -> function to measure.
        rounds: number of measured rounds.
        device: of the variants.
        warmup: rounds before, which are not measured.
        repeats: calls of a variant within a round, for functions that take microseconds.

    Returns:
        name -> seconds per call, one value for each round.
    """
    names = list(variants)
    seconds: Dict[str, List[float]] = {name: [] for name in names}
    for index in range(-warmup, rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            start = now(device)
            for _ in range(repeats):
                variants[name]()
            if index >= 0:
                seconds[name].append((now(device) - start) / repeats)
            else:
                now(device)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], name: str, baseline: str) -> Ratio:
    """Time of one variant over that of another, round by round."""
    ratios = sorted(a / b for a, b in zip(seconds[name], seconds[baseline]))
    # Rank of the 95 % interval of a median: n/2 -+ 1.96 sqrt(n)/2, the normal approximation of the binomial
    rank = max(0, math.floor(len(ratios) / 2 - 0.98 * math.sqrt(len(ratios))))
    return Ratio(statistics.median(ratios), ratios[rank], ratios[-1 - rank])


def milliseconds(values: Sequence[float]) -> str:
    """The median."""
    return f'{1e3 * statistics.median(values):.3g}'


def machine(device: torch.device) -> str:
    """Date, hardware and versions of a measurement."""
    if device.type == 'cuda':
        name = f'{torch.cuda.get_device_name(device)}, wall time'
    else:
        name = f'{cpu_name()}, 1 thread, CPU time of the process'
    versions = f'torch {torch.__version__}, Python {platform.python_version()}'
    return f'{datetime.date.today()}, {name}, {versions}'


def cpu_name() -> str:
    """Model of the processor."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.is_file() else []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return models[0] if models else platform.processor() or platform.machine()


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], device: torch.device) -> None:
    """Prints a table that can be pasted into a Markdown page, with the machine below it."""
    table = Table(*columns, box=box.MARKDOWN)
    for row in rows:
        table.add_row(*map(str, row))
    console = Console(width=160, highlight=False)
    console.print(f'\n{title}')
    console.print(table)
    console.print(machine(device))

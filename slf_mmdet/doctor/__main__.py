"""Prints versions, ops, GPU and known traps of this installation; exit code 1 if a trap is open."""

import importlib
import inspect
import platform
import sys
from typing import Iterator, Tuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .environment import Environment
from .traps import diagnose


def ops() -> str:
    """Which of mmcv's ops are compiled, and which torchvision stands in for."""
    try:
        extension = importlib.import_module('mmcv._ext')
    except ImportError as error:
        return f'none: {error}'
    names = sorted(name for name, _ in inspect.getmembers(extension, inspect.isfunction) if not name.startswith('_'))
    if not str(extension.__file__).endswith('mmcv_ext.py'):
        return f"mmcv's compiled ones, {extension.__file__}"
    return f'stand-ins by torchvision: {", ".join(names)}. Others say so when they are called'


def gpus() -> Iterator[str]:
    """A line for each GPU, or why there is none."""
    try:
        import torch
    except ImportError as error:
        yield f'none: {error}'
        return
    if not torch.cuda.is_available():
        built = f'built for CUDA {torch.version.cuda}' if torch.version.cuda else 'built without CUDA'
        yield f'none (torch is {built})'
        return
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        try:
            torch.ones(1, device=f'cuda:{index}').add_(1).cpu()
            state = 'works'
        except RuntimeError as error:  # a GPU that this torch has no code for
            state = str(error).partition('\n')[0]
        yield f'{found.name}, {found.total_memory / 2**30:.0f} GiB, capability {found.major}.{found.minor}: {state}'


def rows(env: Environment) -> Iterator[Tuple[str, str]]:
    """What there is, in two columns."""
    yield 'Python', f'{platform.python_version()}, {platform.platform()}, {sys.executable}'
    yield from env.versions.items()
    yield "mmcv's ops", ops()
    for line in gpus():
        yield 'GPU', line


def main() -> int:
    """Prints the report."""
    env, console = Environment(), Console()
    inventory = Table('installed', 'version')
    for name, text in rows(env):
        inventory.add_row(name, escape(text))
    console.print(inventory)

    table = Table('trap', 'state', 'what helps', show_lines=True)
    num_open = 0
    for trap, found in diagnose(env):
        if found is None:
            table.add_row(escape(trap.symptom), '[green]absent', '')
            continue
        num_open += not trap.handled
        state = '[yellow]handled' if trap.handled else '[bold red]present'
        table.add_row(escape(trap.symptom), f'{state}[/]: {escape(found)}', escape(trap.fix))
    console.print(table)
    console.print(f'{num_open} open trap(s)' if num_open else 'No trap is open.', highlight=False)
    return 1 if num_open else 0


if __name__ == '__main__':
    sys.exit(main())

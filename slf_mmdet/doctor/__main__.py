"""Prints versions, ops, GPU and known issues of this installation; exit code 1 if an issue needs a fix."""

import contextlib
import importlib
import inspect
import platform
import sys
from typing import Iterator, Tuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .environment import Environment
from .known_issues import diagnose


def ops() -> str:
    """Whether mmcv's ops are compiled, and which of them torchvision replaces."""
    try:
        extension = importlib.import_module('mmcv._ext')
    except ImportError as error:
        return f'none: {error}'
    names = sorted(name for name, _ in inspect.getmembers(extension, inspect.isfunction) if not name.startswith('_'))
    if not str(extension.__file__).endswith('mmcv_ext.py'):
        return f"mmcv's compiled ones, {extension.__file__}"
    return f'not compiled; replaced by torchvision: {", ".join(names)}. Others raise an error when they are called'


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
    """What is installed: name and version or state."""
    yield 'Python', f'{platform.python_version()}, {platform.platform()}, {sys.executable}'
    yield from env.versions.items()
    yield "mmcv's ops", ops()
    for line in gpus():
        yield 'GPU', line


def main() -> int:
    """Prints the report."""
    with contextlib.suppress(Exception):  # the report says why
        from ..compat import apply

        apply()
    env, console = Environment(), Console()
    inventory = Table('installed', 'version')
    for name, text in rows(env):
        inventory.add_row(name, escape(text))
    console.print(inventory)

    table = Table('known issue', 'state', 'fix', show_lines=True)
    num_open = 0
    for issue, found in diagnose(env):
        if found is None:
            table.add_row(escape(issue.symptom), '[green]absent', '')
            continue
        num_open += not issue.handled
        state = '[yellow]handled' if issue.handled else '[bold red]present'
        table.add_row(escape(issue.symptom), f'{state}[/]: {escape(found)}', escape(issue.fix))
    console.print(table)
    console.print(f'{num_open} issue(s) to fix.' if num_open else 'No issue to fix.', highlight=False)
    return 1 if num_open else 0


if __name__ == '__main__':
    sys.exit(main())

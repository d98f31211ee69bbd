"""The command ``slf-mmdet``, also ``python -m slf_mmdet``.

click gives the group of commands and its completion in shells; each command reads its own arguments, in mmdet's style.
"""

import importlib
import sys
from typing import Tuple

import click

from .commands import COMMANDS
from .version import __version__


@click.group(context_settings=dict(help_option_names=['-h', '--help'], max_content_width=110))
@click.version_option(__version__, prog_name='slf-mmdet')
def main() -> None:
    """Learned loss weights for MMDetection.

    ``slf-mmdet COMMAND --help`` explains a command.
    """


def _add(name: str, summary: str) -> None:
    @main.command(
        name,
        short_help=summary,
        add_help_option=False,
        context_settings=dict(ignore_unknown_options=True, allow_interspersed_args=False),
    )
    @click.argument('args', nargs=-1, type=click.UNPROCESSED)
    def run(args: Tuple[str, ...]) -> None:
        module = importlib.import_module(f'.commands.{name}', __package__)
        sys.exit(module.main(list(args), prog=f'slf-mmdet {name}'))


for _name, _summary in COMMANDS.items():
    _add(_name, _summary)


if __name__ == '__main__':
    main(prog_name='slf-mmdet')

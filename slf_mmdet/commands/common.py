"""What all commands share."""

import argparse
import sys
from typing import Any, Callable, Dict, Optional, Sequence

from .errors import user_errors

Main = Callable[..., int]


class WrongArguments(Exception):
    """Arguments that do not go together: exit code 2, with the usage."""


def command(
    name: str,
    doc: Optional[str],
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], Optional[int]],
    registers: bool = True,
) -> Main:
    """The entry of a command.

    Args:
        name: before its error messages.
        doc: its description; the text after the first line is kept as it is.
        add_arguments: declares them.
        run: does the work and returns an exit code, ``None`` for 0.
        registers: whether ``slf_mmdet.register_all_modules`` comes before it, without which mmdet's models cannot be
            imported beside mmcv-lite.
    """

    def main(argv: Optional[Sequence[str]] = None, prog: Optional[str] = None) -> int:
        parser = argparse.ArgumentParser(
            prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_arguments(parser)
        argv = sys.argv[1:] if argv is None else list(argv)
        args = parser.parse_args(argv)
        args.argv = argv  # for tools of mmdet, to which they are passed on
        with user_errors(name):
            try:
                if registers:
                    import slf_mmdet

                    slf_mmdet.register_all_modules()
                return run(args) or 0
            except WrongArguments as error:
                parser.error(str(error))

    return main


def add_cfg_options(parser: argparse.ArgumentParser, changed: str) -> None:
    """Adds mmdet's ``--cfg-options``; :func:`options_of` reads it."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        type=_with_key,
        help=f'changes to {changed}, such as train_cfg.max_epochs=3',
    )


def options_of(texts: Sequence[str]) -> Dict[str, Any]:
    """Key -> value, as mmengine reads them."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='*', action=DictAction, default={})
    return parser.parse_args(['--options', *texts]).options if texts else {}


def _with_key(text: str) -> str:
    if '=' not in text:
        raise argparse.ArgumentTypeError(f'must be KEY=VALUE, found {text!r}')
    return text

"""Lists the configs of the package, prints the path of one, or copies one, with all that it inherits, into a file.

Examples:
    slf-mmdet configs list retinanet
    slf-mmdet configs path slf/slf_yolov1_nano_1xb16-12e_digits-112px
    slf-mmdet configs copy slf/slf_yolov1_nano_1xb16-12e_digits-112px my_config.py
"""

import argparse
from pathlib import Path

from .common import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='list|path|copy')
    listing = actions.add_parser('list', help='names of the configs')
    listing.add_argument('text', nargs='?', default='', help='a part of the name')
    path = actions.add_parser('path', help='path of a config, for _base_ and for commands')
    path.add_argument('name', help='as listed')
    copying = actions.add_parser('copy', help='write a config without _base_ to a file of your own')
    copying.add_argument('name', help='as listed')
    copying.add_argument('to', type=Path, help='file to write, .py; it must not exist')


def run(args: argparse.Namespace) -> None:
    """Lists, prints or copies."""
    from ..paths import find_configs, get_config_path

    if args.action == 'list':
        print('\n'.join(name for name in find_configs() if args.text in name))
    elif args.action == 'path':
        print(get_config_path(args.name))
    else:
        copy(get_config_path(args.name), args.to)


def copy(source: str, target: Path) -> None:
    """Writes a config with all that it inherits.

    Raises:
        FileExistsError: the target exists.
        ValueError: its name does not end with .py.
    """
    if target.suffix != '.py':
        raise ValueError(f'{target} must end with .py')
    if target.exists():
        raise FileExistsError(f'{target} exists: name another file, or remove it')
    from mmengine.config import Config

    cfg = Config.fromfile(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    cfg.dump(target)
    print(f'{target} written')


main = command('configs', __doc__, add_arguments, run, registers=False)

"""Where configs and mmdet's tools are, in a checkout as well as in an installed package."""

import runpy
import sys
from pathlib import Path
from typing import List, Sequence

_PACKAGE = Path(__file__).parent
_CONFIGS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')


def get_config_path(name: str) -> str:
    """Path of one of our configs, for use as ``_base_`` in a config of your own.

    mmengine resolves ``package::config`` only for OpenMMLab's packages, but evaluates ``_base_`` as an expression::

        _base_ = [__import__('slf_mmdet').get_config_path('slf/slf_yolov1_d24_8xb8-135e_voc0712-448px.py')]

    Args:
        name: path relative to the folder ``configs``, with or without ``.py``.

    Raises:
        FileNotFoundError: there is no such config; the message lists those of the same folder.
    """
    for folder in _CONFIGS:
        for candidate in (folder / name, folder / f'{name}.py'):
            if candidate.is_file():
                return str(candidate)
    siblings = [path.name for folder in _CONFIGS for path in sorted((folder / name).parent.glob('*.py'))]
    families = sorted({Path(found).parent.as_posix() for found in find_configs()})
    known = f'there are {siblings}' if siblings else f'the folders are {families}'
    raise FileNotFoundError(f'slf_mmdet has no config {name!r}; {known}.')


def find_configs() -> List[str]:
    """Names of all configs, as :func:`get_config_path` takes them."""
    found = (path.relative_to(folder) for folder in _CONFIGS for path in folder.glob('[!_]*/**/*.py'))
    return sorted({path.with_suffix('').as_posix() for path in found})


def run_mmdet_tool(name: str, argv: Sequence[str]) -> None:
    """Runs one of mmdet's own tools with the given arguments."""
    path = get_mmdet_tool(name)
    sys.argv = [path, *argv]
    runpy.run_path(path, run_name='__main__')


def get_mmdet_tool(name: str) -> str:
    """Path of one of mmdet's own tools, ``train.py`` for instance.

    Raises:
        FileNotFoundError: mmdet was installed without its tools.
    """
    import mmdet

    package = Path(mmdet.__file__).parent
    for folder in (package / '.mim' / 'tools', package.parent / 'tools'):
        if (folder / name).is_file():
            return str(folder / name)
    raise FileNotFoundError(
        f'mmdet at {package} comes without tools/{name}. Install it from a wheel: pip install "mmdet>=3.3".'
    )

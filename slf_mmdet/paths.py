"""Where configs and mmdet's tools are, in a checkout as well as in an installed package."""

from pathlib import Path

import mmdet

_PACKAGE = Path(__file__).parent


def get_config_path(name: str) -> str:
    """Path of one of our configs, for use as ``_base_`` in a config of your own.

    mmengine resolves ``package::config`` only for OpenMMLab's packages, but evaluates ``_base_`` as an expression::

        _base_ = [__import__('slf_mmdet').get_config_path('slf/slf_yolov1_d24_8xb8-135e_voc0712-448px.py')]

    Args:
        name: path relative to the folder ``configs``, with or without ``.py``.

    Raises:
        FileNotFoundError: there is no such config; the message lists those of the same folder.
    """
    folders = [_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs']
    for folder in folders:
        for candidate in (folder / name, folder / f'{name}.py'):
            if candidate.is_file():
                return str(candidate)
    siblings = [path.name for folder in folders for path in sorted((folder / name).parent.glob('*.py'))]
    configs = [path.relative_to(folder) for folder in folders for path in folder.glob('[!_]*/**/*.py')]
    families = sorted({path.parent.as_posix() for path in configs})
    known = f'there are {siblings}' if siblings else f'the folders are {families}'
    raise FileNotFoundError(f'slf_mmdet has no config {name!r}; {known}.')


def get_mmdet_tool(name: str) -> str:
    """Path of one of mmdet's own tools, ``train.py`` for instance.

    Raises:
        FileNotFoundError: mmdet was installed without its tools.
    """
    package = Path(mmdet.__file__).parent
    for folder in (package / '.mim' / 'tools', package.parent / 'tools'):
        if (folder / name).is_file():
            return str(folder / name)
    raise FileNotFoundError(
        f'mmdet at {package} comes without tools/{name}. Install it from a wheel: pip install "mmdet>=3.3".'
    )

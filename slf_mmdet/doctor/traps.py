"""The known traps of mmdet 3.3 on today's torch, numpy and setuptools: how each is recognised, and what helps."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from .environment import Environment

MMCV_LITE = 'pip install "mmcv-lite>=2.0.0,<2.2.0"'


@dataclass(frozen=True)
class Trap:
    """A way in which an installation fails.

    Args:
        symptom: what a user sees of it.
        find: what of it there is in an installation, or ``None``.
        fix: what helps.
        handled: whether slf_mmdet works around it, so that nothing need be done.
    """

    symptom: str
    find: Callable[[Environment], Optional[str]]
    fix: str
    handled: bool = False


def _no_mmcv(env: Environment) -> Optional[str]:
    return (
        None if {'mmcv', 'mmcv-lite', 'onedl-mmcv'} & set(env.versions) else 'neither mmcv nor mmcv-lite is installed'
    )


def _two_mmcvs(env: Environment) -> Optional[str]:
    found = [name for name in ('mmcv', 'mmcv-lite', 'onedl-mmcv') if name in env.versions]
    return f'{env.shown(*found)} overwrite each other' if len(found) > 1 else None


def _new_mmcv(env: Environment) -> Optional[str]:
    for name in ('mmcv', 'mmcv-lite'):
        if env.has(name, '2.2.0') and env.has('mmdet', '3.0', '3.4'):
            return env.shown(name, 'mmdet')
    return None


def _no_compiled_ops(env: Environment) -> Optional[str]:
    error = env.import_error('mmcv._ext')
    if error is not None:
        return error
    extension = importlib.import_module('mmcv._ext')
    stands_in = Path(str(getattr(extension, '__file__', ''))).name == 'mmcv_ext.py'
    return 'mmcv has no compiled ops' if stands_in else None


def _two_stacks(env: Environment) -> Optional[str]:
    pairs = (('mmengine', 'onedl-mmengine'), ('mmdet', 'onedl-mmdetection'))
    found = [env.shown(*pair) for pair in pairs if set(pair) <= set(env.versions)]
    return ' and '.join(found) or None


def _torchvision_pair(env: Environment) -> Optional[str]:
    return env.import_error('torchvision.ops')


def _weights_only(env: Environment) -> Optional[str]:
    return env.shown('torch', 'mmengine') if env.has('torch', '2.6') and env.has('mmengine') else None


def _unsafe_loading(env: Environment) -> Optional[str]:
    name = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
    on = env.variables.get(name, '0').lower() in ('1', 'y', 'yes', 'true')
    return f'{name}={env.variables[name]}' if on else None


def _adafactor(env: Environment) -> Optional[str]:
    if env.has('torch', '2.5') and env.has('mmengine', '0', '0.10.6') and env.has('transformers'):
        return env.shown('torch', 'transformers', 'mmengine')
    return None


def _no_pkg_resources(env: Environment) -> Optional[str]:
    if env.has('setuptools', '0', '82'):
        return None
    return env.shown('setuptools') or 'setuptools is not installed'


def _openmim(env: Environment) -> Optional[str]:
    return env.shown('openmim', 'openxlab', 'setuptools') if env.has('openxlab') else None


def _numpy_abi(env: Environment) -> Optional[str]:
    error = env.import_error('pycocotools._mask')
    return f'{error} ({env.shown("numpy", "pycocotools")})' if error else None


def _opencv(env: Environment) -> Optional[str]:
    return env.import_error('cv2')


def _ssd_head(env: Environment) -> Optional[str]:
    return env.shown('mmdet') if env.has('mmdet', '3.1', '3.3.1') else None


def _package(env: Environment) -> Optional[str]:
    for module in ('mmdet.models', 'slf_mmdet.models', 'slf_mmdet.hooks'):
        error = env.import_error(module)
        if error is not None:
            return f'import {module}: {error}'
    return None


TRAPS: Tuple[Trap, ...] = (
    Trap("No module named 'mmcv'", _no_mmcv, MMCV_LITE),
    Trap('mmcv behaves like another one than was installed', _two_mmcvs, f'pip uninstall mmcv mmcv-lite; {MMCV_LITE}'),
    Trap('MMCV==2.2.0 is used but incompatible', _new_mmcv, MMCV_LITE),
    Trap(
        "No module named 'mmcv._ext'",
        _no_compiled_ops,
        'nothing, if the model works: torchvision stands in for the ops above. For the others: pip uninstall '
        'mmcv-lite; pip install "setuptools<81" wheel ninja; pip install --no-build-isolation "mmcv>=2.0.0,<2.2.0"',
        handled=True,
    ),
    Trap(
        'mmengine, mmdet behave like others than were installed',
        _two_stacks,
        "keep one: pip uninstall the onedl- packages, or OpenMMLab's; then install the kept ones again",
    ),
    Trap(
        'operator torchvision::nms does not exist, undefined symbol',
        _torchvision_pair,
        'install the torchvision that was built for this torch, such as torch 2.11.0 with torchvision 0.26.0',
    ),
    Trap(
        'UnpicklingError: Weights only load failed ... HistoryBuffer, at --resume',
        _weights_only,
        'nothing: slf_mmdet declares what mmengine saves as safe. Do not switch weights_only off',
        handled=True,
    ),
    Trap(
        'a downloaded checkpoint may run any program',
        _unsafe_loading,
        'unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    ),
    Trap('Adafactor is already registered in optimizer', _adafactor, 'pip install "mmengine>=0.10.7"'),
    Trap(
        "No module named 'pkg_resources'",
        _no_pkg_resources,
        'nothing: slf_mmdet stands in for what mmengine asks of it. Or pip install "setuptools<82"',
        handled=True,
    ),
    Trap(
        'mim install takes setuptools back to 60',
        _openmim,
        'install with pip instead of mim; pip uninstall openmim openxlab',
    ),
    Trap(
        'numpy.dtype size changed, may indicate binary incompatibility',
        _numpy_abi,
        'pip install --force-reinstall --no-cache-dir pycocotools, or pip install "numpy<2"',
    ),
    Trap(
        'ImportError: libGL.so.1: cannot open shared object file',
        _opencv,
        'pip uninstall opencv-python; pip install opencv-python-headless',
    ),
    Trap(
        "'SSDHead' object has no attribute 'loss_cls'",
        _ssd_head,
        'nothing: slf_mmdet gives the class the attribute',
        handled=True,
    ),
    Trap('import slf_mmdet fails', _package, 'the traps above, from the top; then the error itself'),
)


def diagnose(env: Environment) -> List[Tuple[Trap, Optional[str]]]:
    """Each trap with what was found of it, or ``None``."""
    return [(trap, trap.find(env)) for trap in TRAPS]

"""The known issues of mmdet 3.3 on today's torch, numpy and setuptools: how each is detected, and its fix."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from .environment import Environment

MMCV_LITE = 'pip install "mmcv-lite>=2.0.0,<2.2.0"'


@dataclass(frozen=True)
class KnownIssue:
    """A way in which an installation fails.

    Args:
        symptom: the error message, or what a user sees.
        find: describes the issue in an installation; ``None`` if it is absent.
        fix: what to do.
        handled: slf_mmdet works around it, so nothing need be done.
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


def _no_find_loader(env: Environment) -> Optional[str]:
    return 'Python {}.{}'.format(*env.python) if env.python >= (3, 14) else None


def _no_training(env: Environment) -> Optional[str]:
    return env.training_problem() if _package(env) is None else None  # one issue is enough


def _package(env: Environment) -> Optional[str]:
    for module in ('mmdet.models', 'slf_mmdet.models', 'slf_mmdet.hooks'):
        error = env.import_error(module)
        if error is not None:
            return f'import {module}: {error}'
    return None


KNOWN_ISSUES: Tuple[KnownIssue, ...] = (
    KnownIssue("No module named 'mmcv'", _no_mmcv, MMCV_LITE),
    KnownIssue(
        'mmcv behaves like another version than the installed one',
        _two_mmcvs,
        f'pip uninstall mmcv mmcv-lite; {MMCV_LITE}',
    ),
    KnownIssue('MMCV==2.2.0 is used but incompatible', _new_mmcv, MMCV_LITE),
    KnownIssue(
        "No module named 'mmcv._ext'",
        _no_compiled_ops,
        'nothing, if the model works: torchvision replaces the ops above. For the others: pip uninstall '
        'mmcv-lite; pip install "setuptools<81" wheel ninja; pip install --no-build-isolation "mmcv>=2.0.0,<2.2.0"',
        handled=True,
    ),
    KnownIssue(
        'mmengine, mmdet behave like other versions than the installed ones',
        _two_stacks,
        "keep one: pip uninstall the onedl- packages, or OpenMMLab's; then install the kept ones again",
    ),
    KnownIssue(
        'operator torchvision::nms does not exist, undefined symbol',
        _torchvision_pair,
        'install the torchvision that was built for this torch, such as torch 2.11.0 with torchvision 0.26.0',
    ),
    KnownIssue(
        'UnpicklingError: Weights only load failed ... HistoryBuffer, at --resume',
        _weights_only,
        'nothing: slf_mmdet registers what mmengine saves as safe globals. Keep weights_only on',
        handled=True,
    ),
    KnownIssue(
        'a downloaded checkpoint may execute arbitrary code',
        _unsafe_loading,
        'unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    ),
    KnownIssue('Adafactor is already registered in optimizer', _adafactor, 'pip install "mmengine>=0.10.7"'),
    KnownIssue(
        "No module named 'pkg_resources'",
        _no_pkg_resources,
        'nothing: slf_mmdet provides what mmengine uses of it. Or pip install "setuptools<82"',
        handled=True,
    ),
    KnownIssue(
        'mim install downgrades setuptools to 60',
        _openmim,
        'install with pip instead of mim; pip uninstall openmim openxlab',
    ),
    KnownIssue(
        'numpy.dtype size changed, may indicate binary incompatibility',
        _numpy_abi,
        'pip install --force-reinstall --no-cache-dir pycocotools, or pip install "numpy<2"',
    ),
    KnownIssue(
        'ImportError: libGL.so.1: cannot open shared object file',
        _opencv,
        'pip uninstall opencv-python; pip install opencv-python-headless',
    ),
    KnownIssue(
        "'SSDHead' object has no attribute 'loss_cls'",
        _ssd_head,
        'nothing: slf_mmdet adds the attribute to the class',
        handled=True,
    ),
    KnownIssue(
        "module 'pkgutil' has no attribute 'find_loader'",
        _no_find_loader,
        'nothing: slf_mmdet adds it, as Python before 3.14 had it',
        handled=True,
    ),
    KnownIssue('import slf_mmdet fails', _package, 'fix the issues above, from the top; then the error itself'),
    KnownIssue('a small YOLO with SLF cannot train one step', _no_training, 'fix the issues above, from the top'),
)


def diagnose(env: Environment) -> List[Tuple[KnownIssue, Optional[str]]]:
    """Each issue with what was found of it, or ``None`` where it is absent."""
    return [(issue, issue.find(env)) for issue in KNOWN_ISSUES]

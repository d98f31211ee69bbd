"""Settings in which the config of a run differs from its base."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from mmengine.config import Config

from ..models.detectors.balanced_detector import OWN_SETTINGS, detector_config
from ..paths import get_config_path

# What tools/train.py adds to every config
OF_THE_RUN = ('work_dir', 'launcher')


class Change(NamedTuple):
    """One setting that differs.

    Attributes:
        key: dotted.
        base: value in the base; ``None`` where it has no such key.
        run: value in the run; ``None`` where it has no such key.
    """

    key: str
    base: Optional[str]
    run: Optional[str]


def find_dumped_config(work_dir: Path, folder: Path) -> Optional[Path]:
    """The config that mmengine wrote into a work dir, named as the run's, with everything merged.

    Args:
        work_dir: of the run. Tests of other configs may have written theirs into it, too.
        folder: of the time stamp of the training, whose ``vis_data/config.py`` is of the training alone.
    """
    found = sorted(work_dir.glob('*.py'))
    own = folder / 'vis_data' / 'config.py'
    if own.is_file():
        text = own.read_text(encoding='utf-8')
        found = [path for path in found if path.read_text(encoding='utf-8') == text] or found or [own]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def load_dumped_config(path: Path, folder: Path) -> Config:
    """The config of the training: its ``vis_data/config.py`` where there is one, since a test may replace the other."""
    own = folder / 'vis_data' / 'config.py'
    return Config.fromfile(own if own.is_file() else path)


def find_own_config(name: str) -> Optional[Path]:
    """One of this package's configs by the name of its file."""
    root = Path(get_config_path('_base_/default_runtime.py')).parents[1]
    return next(iter(sorted(root.glob(f'*/{name}'))), None)


def load_base(path: Path) -> Config:
    """The merged base configs of a config; the config itself where it has none."""
    bases = [
        base if '::' in base else str((path.parent / base).resolve()) for base in Config._get_base_files(str(path))
    ]
    return Config.fromstring(f'_base_ = {bases!r}', '.py') if bases else Config.fromfile(path)


def changes(base: Config, run: Config) -> List[Change]:
    """The settings in which two configs differ, in the order of their keys.

    The settings of the detector in a ``BalancedDetector`` are compared with those of the plain detector.
    """
    before, after = _flat(_inline(base.to_dict())), _flat(_inline(run.to_dict()))
    return [
        Change(key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key) and key not in OF_THE_RUN
    ]


def _inline(cfg: Dict[str, Any]) -> Dict[str, Any]:
    """A ``BalancedDetector``, in either form, with the settings of the detector at the keys of the plain detector."""
    model = cfg.get('model')
    if not isinstance(model, dict) or str(model.get('type')).rpartition('.')[2] != 'BalancedDetector':
        return cfg
    detector = detector_config(model)
    own = {key: model[key] for key in OWN_SETTINGS if key in model and key != 'detector'}
    return {**cfg, 'model': {**detector, 'detector_type': detector['type'], **own}}


def _holds_dict(value: Any) -> bool:
    """Whether a list or tuple has a dict in it, at any depth."""
    return isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(map(_holds_dict, value)))


def _flat(value: Any, key: str = '') -> Dict[str, str]:
    """``model.bbox_head.type`` -> its value as text, for every setting; lists with dicts are counted from 0."""
    nested: Dict[str, Any] = {}
    if isinstance(value, dict):
        nested = {str(name): inner for name, inner in value.items()}
    elif _holds_dict(value):
        nested = {str(i): inner for i, inner in enumerate(value)}
    if not nested:
        return {key: repr(list(value) if isinstance(value, tuple) else value)}
    flat: Dict[str, str] = {}
    for name, inner in nested.items():
        flat.update(_flat(inner, f'{key}.{name}' if key else name))
    return flat

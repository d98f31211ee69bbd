"""Settings in which the config of a run differs from its base."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from mmengine.config import Config

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


def find_dumped_config(work_dir: Path) -> Optional[Path]:
    """The config that mmengine wrote into a work dir, with all base configs and command-line options merged."""
    found = sorted(work_dir.glob('*.py')) or sorted(work_dir.glob('*/vis_data/config.py'))
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


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
    """The settings in which two configs differ, in the order of their keys."""
    before, after = _flat(base.to_dict()), _flat(run.to_dict())
    return [
        Change(key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key) and key not in OF_THE_RUN
    ]


def _flat(value: Any, key: str = '') -> Dict[str, str]:
    """``model.bbox_head.type`` -> its value as text, for every setting; lists of dicts are counted from 0."""
    nested: Dict[str, Any] = {}
    if isinstance(value, dict):
        nested = {str(name): inner for name, inner in value.items()}
    elif isinstance(value, (list, tuple)) and any(isinstance(inner, dict) for inner in value):
        nested = {str(i): inner for i, inner in enumerate(value)}
    if not nested:
        return {key: repr(list(value) if isinstance(value, tuple) else value)}
    flat: Dict[str, str] = {}
    for name, inner in nested.items():
        flat.update(_flat(inner, f'{key}.{name}' if key else name))
    return flat

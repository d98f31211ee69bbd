"""The checkpoint files of a run: where its ``CheckpointHook`` writes them, under which names, and which are intact."""

import glob
import pickle
import re
import string
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import torch
from mmengine.hooks import CheckpointHook

# Names that mmengine gives by default; a work dir may hold both, after a change of by_epoch
DEFAULT_TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')


class CheckpointFiles(NamedTuple):
    """Files of one kind: numbered, in one folder.

    Attributes:
        folder: that the template is relative to.
        template: as ``CheckpointHook.filename_tmpl``, with a field for the number, and possibly with a folder.
    """

    folder: Path
    template: str

    def newest_first(self) -> List[Path]:
        """The files there are, the largest number first."""
        pattern, wildcard, fields = '', '', 0
        for literal, field, _, _ in string.Formatter().parse(self.template):
            pattern += re.escape(literal) + ('' if field is None else r'(?:0*(\d+))' if not fields else r'\d+')
            wildcard += glob.escape(literal) + ('' if field is None else '*')
            fields += field is not None
        if not fields:  # each checkpoint replaces the one before
            return [self.folder / self.template] if (self.folder / self.template).is_file() else []
        numbers: Dict[Path, int] = {}
        for path in self.folder.glob(wildcard):
            match = re.fullmatch(pattern, path.relative_to(self.folder).as_posix())
            if match:
                numbers[path] = int(match[1])
        return sorted(numbers, key=numbers.__getitem__, reverse=True)


def files_of_run(
    work_dir: Union[str, Path], hook: Union[CheckpointHook, Mapping[str, Any], None]
) -> List[CheckpointFiles]:
    """The kinds of checkpoint files that a run may resume from, those of its hook first.

    Args:
        work_dir: of the run.
        hook: its ``CheckpointHook`` before the training begins, or the config of one, if it has one.
    """
    work_dir = Path(work_dir)
    settings = hook if isinstance(hook, Mapping) else vars(hook) if hook is not None else {}
    out_dir, template = settings.get('out_dir'), settings.get('filename_tmpl')
    # mmengine adds the name of the work dir, when the training begins
    own = work_dir if out_dir is None or Path(out_dir) == work_dir else Path(out_dir) / work_dir.name
    folders = list(dict.fromkeys([own, work_dir]))
    templates = list(dict.fromkeys([*([template] if template else []), *DEFAULT_TEMPLATES]))
    return [CheckpointFiles(folder, each) for folder in folders for each in templates]


def newest_intact(kinds: List[CheckpointFiles]) -> Tuple[Optional[Path], Dict[Path, str]]:
    """The intact checkpoint that has been trained longest, by the iteration that it holds.

    Of each kind the files are read from the largest number on, until one is intact.

    Returns:
        It, or ``None``, and path -> what is wrong with it, of the broken ones that were found on the way.
    """
    found: List[Tuple[int, Path]] = []
    faults: Dict[Path, str] = {}
    for kind in kinds:
        for path in kind.newest_first():
            fault = find_fault(path)
            if fault is None:
                found.append((_iteration(path), path))
                break
            faults[path] = fault
    newest = max(found, key=lambda item: item[0], default=(0, None))[1]
    return newest, faults


def _iteration(path: Path) -> int:
    try:
        meta = torch.load(str(path), map_location='cpu', weights_only=True, mmap=True).get('meta', {})
    except pickle.UnpicklingError:  # holds a type that weights_only rejects
        return -1
    return int(meta.get('iter', meta.get('epoch', -1)))


def find_fault(path: Union[str, Path]) -> Optional[str]:
    """Describes what is wrong with a checkpoint file. Nothing in it is executed.

    Args:
        path: file that ``torch.save`` wrote: a zip archive, whose every entry has a CRC-32.

    Returns:
        ``None`` if it is intact.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.testzip()
        if entry is not None:
            return f'the checksum of its entry {entry} is wrong'
        torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        return f'it cannot be read ({error.strerror or error})'
    except pickle.UnpicklingError:
        return None  # intact, but holds a type that weights_only rejects; loading it reports that
    except Exception as error:  # BadZipFile, and whatever else damaged headers lead to
        reason = str(error).partition('\n')[0] or type(error).__name__
        return f'it was cut short or overwritten ({reason})'
    return None

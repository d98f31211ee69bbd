"""Resumes from the newest intact checkpoint if the last one is broken.

mmengine writes a checkpoint in place, so a run that is killed meanwhile leaves an incomplete file, and it resumes from
the file that ``last_checkpoint`` names without a check. PyTorch does not verify the checksums in its files when it
loads them, so a flipped bit is a wrong weight.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import List, Optional, Union

import torch
from mmdet.registry import HOOKS
from mmengine import dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

_NUMBERED = re.compile(r'(?:epoch|iter)_(\d+)\.pth')


class BrokenCheckpointError(RuntimeError):
    """A checkpoint cannot be resumed from, and there is no other to use instead."""


@HOOKS.register_module()
class SafeResumeHook(Hook):
    """Checks the checkpoint that a run resumes from or loads; instead of a broken one, the one before is used.

    With ``--resume`` (no file given), broken checkpoints are logged and renamed to ``*.broken``, and
    ``last_checkpoint`` is set to the newest intact one. A file that the user names is never replaced: if it is broken,
    the error lists the intact ones in its folder.

    Raises:
        BrokenCheckpointError: see above, or no intact checkpoint is left.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Checks in the main process; the others get the result."""
        if runner._load_from is None and not runner._resume:
            return
        answer: List[Optional[str]] = [None]
        if dist.is_main_process():
            try:
                self._check(runner)
            except BrokenCheckpointError as error:
                answer = [str(error)]
        dist.broadcast_object_list(answer)
        if answer[0] is not None:
            raise BrokenCheckpointError(answer[0])

    def before_train(self, runner: Runner) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.max_keep_ckpts == 1:
                runner.logger.warning(
                    'SafeResumeHook: CheckpointHook.max_keep_ckpts is 1, and mmengine deletes the old checkpoint '
                    'before it writes the new one: a run that is killed meanwhile has none. Keep 2 or more.'
                )

    def _check(self, runner: Runner) -> None:
        named = runner._load_from
        if named is None:
            self._check_last(runner)
        elif Path(named).is_file() and not _is_old_format(Path(named)) and (fault := find_fault(named)):
            intact = [str(path) for path in numbered_checkpoints(Path(named).parent) if not find_fault(path)]
            raise BrokenCheckpointError(
                f'the checkpoint {named} is broken: {fault}. Intact ones in its folder: {intact}.'
            )

    def _check_last(self, runner: Runner) -> None:
        pointer = Path(runner.work_dir) / 'last_checkpoint'
        last = pointer.read_text(encoding='utf-8', errors='replace').strip() if pointer.is_file() else ''
        if last and '://' in last:
            return  # on a storage server, which has its own checksums
        if last and find_fault(last) is None:
            return
        folder = Path(last).parent if last and Path(last).parent.is_dir() else Path(runner.work_dir)
        candidates = list(dict.fromkeys([*([Path(last)] if last else []), *numbered_checkpoints(folder)]))
        for path in candidates:
            fault = find_fault(path)
            if fault is None:
                runner.logger.warning(f'SafeResumeHook: resuming from {path}, the newest intact checkpoint.')
                pointer.write_text(str(path), encoding='utf-8')
                return
            runner.logger.error(f'SafeResumeHook: the checkpoint {path} is broken: {fault}.')
            if path.is_file():
                path.replace(path.with_name(f'{path.name}.broken'))
        if last:
            raise BrokenCheckpointError(
                f'{pointer} names {last}, but neither it nor another checkpoint in {folder} is intact (broken ones are '
                'named *.broken now). Remove last_checkpoint to start from the beginning.'
            )
        pointer.unlink(missing_ok=True)  # it is empty, and mmengine would try to resume from ''


def numbered_checkpoints(folder: Path) -> List[Path]:
    """The checkpoints ``epoch_N.pth`` and ``iter_N.pth`` of a folder, newest first."""
    found = [path for path in folder.glob('*.pth') if _NUMBERED.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(_NUMBERED.fullmatch(path.name)[1]), reverse=True)  # type: ignore[index]


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


def _is_old_format(path: Path) -> bool:
    """Files of PyTorch < 1.6, as in model zoos, are bare pickles and have no checksums."""
    with path.open('rb') as file:
        return file.read(1) == b'\x80'

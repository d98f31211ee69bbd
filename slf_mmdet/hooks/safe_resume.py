"""Resumes from the newest intact checkpoint if the last one is broken.

mmengine writes a checkpoint in place, so a run that is killed meanwhile leaves an incomplete file, and it resumes from
the file that ``last_checkpoint`` names without a check. PyTorch does not verify the checksums in its files when it
loads them, so a flipped bit is a wrong weight.
"""

from pathlib import Path
from typing import List, Optional

from mmdet.registry import HOOKS
from mmengine import dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from .checkpoint_files import CheckpointFiles, files_of_run, find_fault, newest_intact


class BrokenCheckpointError(RuntimeError):
    """A checkpoint cannot be resumed from, and there is no other to use instead."""


@HOOKS.register_module()
class SafeResumeHook(Hook):
    """Checks the checkpoint that a run resumes from or loads; instead of a broken one, the one before is used.

    With ``--resume`` (no file given), broken checkpoints are logged and renamed to ``*.broken``, and
    ``last_checkpoint`` is set to the newest intact one. Names and folder are those of the run's ``CheckpointHook``. A
    file that the user names is never replaced: if it is broken, the error lists the intact ones in its folder.

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
            beside = sorted({*Path(named).parent.glob('*.pth')} - {Path(named)})
            intact = [str(path) for path in beside if not _is_old_format(path) and not find_fault(path)]
            raise BrokenCheckpointError(
                f'the checkpoint {named} is broken: {fault}. Intact ones in its folder: {intact}.'
            )

    def _check_last(self, runner: Runner) -> None:
        pointer = Path(runner.work_dir) / 'last_checkpoint'
        last = pointer.read_text(encoding='utf-8', errors='replace').strip() if pointer.is_file() else ''
        if last and '://' in last:
            return  # on a storage server, which has its own checksums
        fault = find_fault(last) if last else None
        if last and fault is None:
            return
        kinds = files_of_run(runner.work_dir, _checkpoint_hook(runner))
        if last and Path(last).parent.is_dir():
            kinds += [CheckpointFiles(Path(last).parent, kind.template) for kind in kinds]
        intact, faults = newest_intact(kinds)
        for path, reason in {**({Path(last): fault} if fault else {}), **faults}.items():
            runner.logger.error(f'SafeResumeHook: the checkpoint {path} is broken: {reason}.')
            if path.is_file():
                path.replace(path.with_name(f'{path.name}.broken'))
        if intact is not None:
            runner.logger.warning(f'SafeResumeHook: resuming from {intact}, the newest intact checkpoint.')
            pointer.write_text(str(intact), encoding='utf-8')
        elif last:
            folders = list(dict.fromkeys(str(kind.folder) for kind in kinds))
            raise BrokenCheckpointError(
                f'{pointer} names {last}, but neither it nor a checkpoint of this run in {folders} is intact (broken '
                f'ones are named *.broken now; looked for {sorted({kind.template for kind in kinds})}). To resume from '
                'another file, name it: --resume FILE. Remove last_checkpoint to start from the beginning.'
            )
        else:
            pointer.unlink(missing_ok=True)  # it is empty, and mmengine would try to resume from ''


def _checkpoint_hook(runner: Runner) -> Optional[CheckpointHook]:
    return next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)


def _is_old_format(path: Path) -> bool:
    """Files of PyTorch < 1.6, as in model zoos, are bare pickles and have no checksums."""
    with path.open('rb') as file:
        return file.read(1) == b'\x80'

"""One run of a comparison: one arm, one seed, one ordinary run in a process of its own.

``python -m slf_mmdet.comparison.run FOLDER`` trains and evaluates ``FOLDER/config.py``, resumes what was interrupted,
and leaves ``FOLDER/result.json``. With ``--with-parent`` it ends as soon as the process at the other end of its
standard input has ended.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import traceback
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

import slf_mmdet
from slf_mmdet.comparison.lock import locked
from slf_mmdet.comparison.no_detections import with_zeros
from slf_mmdet.comparison.record import RESULT, RunRecordHook
from slf_mmdet.comparison.run_process import CANNOT_WRITE, WITH_PARENT, end_with_parent
from slf_mmdet.hooks.checkpoint_files import files_of_run, find_fault, newest_intact
from slf_mmdet.utils.files import is_unwritable, write_json, write_text

WAIT = 60  # seconds for another process in the folder to end


def main(args: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument(WITH_PARENT, action='store_true')
    settings = parser.parse_args(args)
    if settings.with_parent:
        end_with_parent()
    try:
        with locked(settings.folder.absolute(), WAIT):
            if not (settings.folder / RESULT).is_file():  # else the process that was waited for has finished the run
                train_and_evaluate(settings.folder)
    except Exception as error:
        if not is_unwritable(error):
            raise
        with contextlib.suppress(OSError):  # the log may be on the full disk, too
            traceback.print_exc()
        return CANNOT_WRITE
    return 0


def train_and_evaluate(folder: Path) -> dict:
    """Trains and evaluates the config of a run; returns what it writes as ``result.json``."""
    # A Config without a file: the runner would write into config.py, which the next comparison reads
    cfg = Config(Config.fromfile(folder / 'config.py').to_dict())
    repair_last_checkpoint(folder, cfg.get('default_hooks', {}).get('checkpoint'))
    if find_latest_checkpoint(str(folder)):
        cfg.merge_from_dict(dict(resume=True, load_from=None))
    runner = Runner.from_cfg(cfg)
    runner.train()
    record = next(hook for hook in runner.hooks if isinstance(hook, RunRecordHook))
    if record.metrics is None and runner.val_loop is not None:
        runner.val_loop.run()  # the process before this one ended amid the last validation
    metrics = record.metrics
    result: Dict[str, Any] = dict(val={} if metrics is None else with_zeros(metrics, runner.val_evaluator))
    same = cfg.get('test_dataloader') == cfg.get('val_dataloader')
    same = same and cfg.get('test_evaluator') == cfg.get('val_evaluator')
    if same or cfg.get('test_dataloader') is None:
        result['test'] = result['val']
    else:  # not runner.test(), which has EMAHook begin a new average
        result['test'] = with_zeros(runner.test_loop.run(), runner.test_evaluator)
    times = [float(value) for value in runner.message_hub.get_scalar('train/time').data[0]]
    times = [value for value in times if value > 0]  # where the clock was set back, mmengine's are negative
    result.update(
        seconds_per_iter=statistics.median(times) if times else record.seconds / runner.max_iters,
        seconds=record.seconds,
        validations={step: with_zeros(found, runner.val_evaluator) for step, found in record.validations.items()},
        iters=runner.max_iters,
        fingerprint=record.fingerprint,
        version=slf_mmdet.__version__,
    )
    result = json.loads(json.dumps(result, default=float))
    write_json(folder / RESULT, result)
    return result


def repair_last_checkpoint(folder: Path, hook: Optional[Mapping[str, Any]] = None) -> None:
    """Points ``last_checkpoint`` to the newest intact checkpoint, or removes it if there is none.

    A run that is killed while mmengine writes that file leaves it empty; one that is killed, or that finds the disk
    full, while mmengine writes a checkpoint may have deleted the one before. The config may have no ``SafeResumeHook``.

    Args:
        folder: the work dir.
        hook: config of the run's ``CheckpointHook``.
    """
    pointer = folder / 'last_checkpoint'
    if not pointer.is_file():
        return
    last = pointer.read_text(encoding='utf-8', errors='replace').strip()
    if '://' in last or (last and find_fault(last) is None):
        return
    intact, _ = newest_intact(files_of_run(folder, hook))
    if intact is None:
        pointer.unlink()
    else:
        write_text(pointer, str(intact))


if __name__ == '__main__':
    status = main()
    if status == CANNOT_WRITE:  # Python would end with another status, since it cannot write the rest of the log
        os._exit(status)
    sys.exit(status)

"""One cell of a comparison: one column, one seed, one ordinary run in a process of its own.

``python -m slf_mmdet.comparison.cell FOLDER`` trains and evaluates ``FOLDER/config.py``, resumes what was interrupted,
and leaves ``FOLDER/result.json``.
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Dict

from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

import slf_mmdet
from slf_mmdet.comparison.record import RESULT, CellRecordHook, write_json
from slf_mmdet.hooks.safe_resume import find_fault, numbered_checkpoints


def run_cell(folder: Path) -> dict:
    """Trains and evaluates the config of a cell; returns what it writes as ``result.json``."""
    start = time.time()
    cfg = Config.fromfile(folder / 'config.py')
    mend_pointer(folder)
    if find_latest_checkpoint(str(folder)):
        # of no file, or else the runner writes resume=True into config.py, and the next comparison finds other settings
        cfg = Config({**cfg.to_dict(), 'resume': True, 'load_from': None})
    runner = Runner.from_cfg(cfg)
    runner.train()
    record = next(hook for hook in runner.hooks if isinstance(hook, CellRecordHook))
    result: Dict[str, Any] = dict(val=record.metrics)
    same = cfg.get('test_dataloader') == cfg.get('val_dataloader')
    same = same and cfg.get('test_evaluator') == cfg.get('val_evaluator')
    result['test'] = record.metrics if same or cfg.get('test_dataloader') is None else runner.test()
    times = runner.message_hub.get_scalar('train/time').data[0]
    result.update(
        seconds_per_iter=statistics.median(float(value) for value in times),
        seconds=time.time() - start,
        iters=runner.max_iters,
        # a resumed run has not seen its own beginning
        fingerprint=record.fingerprint.hexdigest() if record.first == 0 else None,
        version=slf_mmdet.__version__,
    )
    result = json.loads(json.dumps(result, default=float))
    write_json(folder / RESULT, result)
    return result


def mend_pointer(folder: Path) -> None:
    """Points an empty ``last_checkpoint`` to the newest whole checkpoint, or removes it if there is none.

    A run that is killed while mmengine writes that file leaves it empty, and the config may have no `SafeResumeHook`.
    """
    pointer = folder / 'last_checkpoint'
    if not pointer.is_file() or pointer.read_text(encoding='utf-8').strip():
        return
    whole = next((path for path in numbered_checkpoints(folder) if find_fault(path) is None), None)
    if whole is None:
        pointer.unlink()
    else:
        pointer.write_text(str(whole), encoding='utf-8')


if __name__ == '__main__':
    run_cell(Path(sys.argv[1]))

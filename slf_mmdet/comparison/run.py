"""One run of a comparison: one arm, one seed, one ordinary run in a process of its own.

``python -m slf_mmdet.comparison.run FOLDER`` trains and evaluates ``FOLDER/config.py``, resumes what was interrupted,
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
from slf_mmdet.comparison.no_detections import with_zeros
from slf_mmdet.comparison.record import RESULT, RunRecordHook, write_json
from slf_mmdet.hooks.safe_resume import find_fault, numbered_checkpoints


def train_and_evaluate(folder: Path) -> dict:
    """Trains and evaluates the config of a run; returns what it writes as ``result.json``."""
    start = time.time()
    cfg = Config.fromfile(folder / 'config.py')
    repair_last_checkpoint(folder)
    if find_latest_checkpoint(str(folder)):
        # A Config without a file: the runner would write resume=True into config.py, and the next comparison reject it
        cfg = Config({**cfg.to_dict(), 'resume': True, 'load_from': None})
    runner = Runner.from_cfg(cfg)
    runner.train()
    record = next(hook for hook in runner.hooks if isinstance(hook, RunRecordHook))
    result: Dict[str, Any] = dict(val=with_zeros(record.metrics, runner.val_evaluator))
    same = cfg.get('test_dataloader') == cfg.get('val_dataloader')
    same = same and cfg.get('test_evaluator') == cfg.get('val_evaluator')
    if same or cfg.get('test_dataloader') is None:
        result['test'] = result['val']
    else:
        result['test'] = with_zeros(runner.test(), runner.test_evaluator)
    times = runner.message_hub.get_scalar('train/time').data[0]
    result.update(
        seconds_per_iter=statistics.median(float(value) for value in times),
        seconds=time.time() - start,
        iters=runner.max_iters,
        # a resumed run did not see all of its images
        fingerprint=record.fingerprint.hexdigest() if record.first == 0 else None,
        version=slf_mmdet.__version__,
    )
    result = json.loads(json.dumps(result, default=float))
    write_json(folder / RESULT, result)
    return result


def repair_last_checkpoint(folder: Path) -> None:
    """Points an empty ``last_checkpoint`` to the newest intact checkpoint, or removes it if there is none.

    A run that is killed while mmengine writes that file leaves it empty, and the config may have no ``SafeResumeHook``.
    """
    pointer = folder / 'last_checkpoint'
    if not pointer.is_file() or pointer.read_text(encoding='utf-8').strip():
        return
    intact = next((path for path in numbered_checkpoints(folder) if find_fault(path) is None), None)
    if intact is None:
        pointer.unlink()
    else:
        pointer.write_text(str(intact), encoding='utf-8')


if __name__ == '__main__':
    train_and_evaluate(Path(sys.argv[1]))

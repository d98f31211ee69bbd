"""How long ``import slf_mmdet`` takes beyond mmdet, in CPU time of fresh processes.

``import mmdet`` alone loads no model. Building one loads ``mmdet.models``, training ``mmdet.datasets`` and more; our
classes inherit from theirs, so importing slf_mmdet loads these, too. The second row is what any training with mmdet has
to load; what slf_mmdet adds to it is its own cost.
"""

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import torch
from side_by_side import parser, prepare, ratio, show

ROOT = Path(__file__).resolve().parent.parent
MMDET, TRAINING, OURS = 'mmdet', 'mmdet.models, datasets, engine, evaluation', 'slf_mmdet'
# mmdet.models without mmcv's compiled ops needs our replacement, without the rest of slf_mmdet
STAND_IN = """
import types
package = types.ModuleType('slf_mmdet')
package.__path__ = [sys.argv[1]]
sys.modules['slf_mmdet'] = package
import slf_mmdet.compat
slf_mmdet.compat.apply()
"""
IMPORTS = {
    MMDET: 'import mmdet',
    TRAINING: STAND_IN + 'import mmdet.models, mmdet.datasets, mmdet.engine, mmdet.evaluation',
    OURS: 'import slf_mmdet, mmdet.models, mmdet.datasets, mmdet.engine, mmdet.evaluation',
}


def seconds_of(code: str) -> float:
    """CPU time of a fresh process from the first line of the code to its last."""
    timed = f'import sys, time\nstart = time.process_time()\n{code}\nprint(time.process_time() - start)'
    command = [sys.executable, '-W', 'ignore', '-c', timed, str(ROOT / 'slf_mmdet')]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Prints one table."""
    args = parser(__doc__, rounds=7).parse_args()
    prepare(args)
    seconds: Dict[str, List[float]] = {name: [] for name in IMPORTS}
    for _ in range(args.rounds):
        for name, code in IMPORTS.items():
            seconds[name].append(seconds_of(code))
    rows = []
    for name in IMPORTS:
        added = statistics.median(a - b for a, b in zip(seconds[name], seconds[TRAINING]))
        rows.append((name, f'{statistics.median(seconds[name]):.2f}', f'{added:+.2f}', ratio(seconds, name, TRAINING)))
    columns = ('import', 's', 's, beyond what a training loads', 'ratio')
    show(f'Start-up, {args.rounds} rounds', columns, rows, torch.device('cpu'))


if __name__ == '__main__':
    main()

"""Demo of five minutes: builds digits-VOC, trains a small YOLO with learned loss weights, tests it, draws detections.

Every step calls one of the tools, and its command is printed, so that it can be repeated by hand. Data and results are
written below the current folder.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import List

from slf_mmdet.paths import get_config_path

TOOLS = Path(__file__).resolve().parent
CONFIG = 'slf/slf_yolov1_nano_1xb16-12e_digits-112px.py'
DATA = Path('data/digits_voc')


def shown(path: str) -> str:
    """The path relative to the current folder if it is below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if here in Path(path).parents else path


def run(tool: str, *args: str) -> None:
    command = [shown(str(TOOLS / tool)), *args]
    print('\n$ python', *command, flush=True)
    done = subprocess.run([sys.executable, *command])
    if done.returncode:  # the tool has said why
        sys.exit(done.returncode)


def read_metrics(folder: Path) -> dict:
    """Metrics of the latest test: a json file in the folder of its time stamp."""
    files = sorted(path for path in folder.glob('*/*.json') if path.stem == path.parent.name)
    return json.loads(files[-1].read_text(encoding='utf-8'))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work-dir', default='work_dirs/demo')
    parser.add_argument('--config', default=shown(get_config_path(CONFIG)))
    parser.add_argument('--quick', action='store_true', help='train one epoch, to check that every step works')
    args = parser.parse_args()
    start = time.time()
    work_dir = Path(args.work_dir)

    run('dataset_converters/digits_voc.py', '--out', str(DATA))
    options: List[str] = []
    if args.quick:
        options = ['--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    run('train.py', args.config, '--work-dir', args.work_dir, *options)
    checkpoint = (work_dir / 'last_checkpoint').read_text(encoding='utf-8')
    run('test.py', args.config, checkpoint, '--work-dir', f'{args.work_dir}/test')
    log = max(work_dir.glob('*/vis_data/scalars.json'))
    run('analysis_tools/plot_weights.py', str(log), '--out', f'{args.work_dir}/weights.png')
    picture = f'{args.work_dir}/detections.png'
    run('analysis_tools/draw_detections.py', args.config, checkpoint, '--out', picture)

    metrics = read_metrics(work_dir / 'test')
    (work_dir / 'metrics.json').write_text(json.dumps(metrics, indent=2), encoding='utf-8')
    print(
        f'\nVOC mAP (11 points, IoU 0.5): {100 * metrics["pascal_voc/mAP"]:.1f}   [{time.time() - start:.0f} s]\n'
        f'  metrics     {args.work_dir}/metrics.json\n'
        f'  weights     {args.work_dir}/weights.png\n'
        f'  detections  {picture}'
    )


if __name__ == '__main__':
    main()

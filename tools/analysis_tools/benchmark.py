"""Images per second of detectors at batch size 1: from array to boxes, and of the network alone.

mmdet's own ``benchmark.py`` needs a GPU, a checkpoint and the images; this one needs none of them, compares several
configs in interleaved rounds, and takes mmdet's configs, too. Without ``--checkpoint`` weights are random, and fewer
boxes reach NMS than after a training.

Example:
    python tools/analysis_tools/benchmark.py configs/yolov1/yolov1_d*_448px.py --threads 2
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Callable, Dict, List, Optional

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from rich import box
from rich.console import Console
from rich.table import Table

import slf_mmdet  # noqa: F401  registers the detectors
from slf_mmdet.utils.tool_errors import user_errors

Run = Callable[[], object]


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', metavar='CONFIG', nargs='+')
    parser.add_argument('--checkpoint', help='weights, with a single CONFIG')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help='of the CPU (default: that of torch)')
    parser.add_argument('--size', type=int, nargs=2, default=(500, 375), help='width and height of the image')
    parser.add_argument('--rounds', type=int, default=20, help='measured calls; the median is reported')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='changes to every config')
    args = parser.parse_args(argv)
    if args.checkpoint and len(args.configs) > 1:
        parser.error('--checkpoint needs a single CONFIG.')
    return args


def runs_of(config: str, args: argparse.Namespace, image: np.ndarray) -> Dict[str, Run]:
    """Functions that run a detector and its network alone."""
    from mmdet.apis import inference_detector  # needs the ops that slf_mmdet provides

    cfg = Config.fromfile(config)
    cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    detector = MODELS.build(cfg.model).to(args.device).eval()
    detector.cfg = cfg
    if args.checkpoint:
        load_checkpoint(detector, args.checkpoint, map_location=args.device)
    steps = get_test_pipeline_cfg(cfg)
    steps[0].type = 'mmdet.LoadImageFromNDArray'
    pipeline = Compose(steps)
    data = pipeline(dict(img=image, img_id=0))
    data = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
    ready = detector.data_preprocessor(data, training=False)
    return dict(
        detector=lambda: inference_detector(detector, image, pipeline), network=lambda: detector(**ready, mode='tensor')
    )


def seconds_of(run: Run, device: str) -> float:
    """Wall time of one call, until the device has finished."""
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


@torch.no_grad()
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prints a table."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    width, height = args.size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    runs = {(config, what): run for config in args.configs for what, run in runs_of(config, args, image).items()}
    seconds: Dict[tuple, List[float]] = {key: [] for key in runs}
    for index in range(-2, args.rounds):
        for key, run in runs.items():
            value = seconds_of(run, args.device)
            if index >= 0:
                seconds[key].append(value)

    table = Table('config', 'images/s, array to boxes', 'images/s, network', box=box.MARKDOWN)
    for config in args.configs:
        per_second = [f'{1 / median(seconds[config, what]):.1f}' for what in ('detector', 'network')]
        table.add_row(Path(config).stem, *per_second)
    console = Console(width=140, highlight=False)
    console.print(table)
    threads = f', {torch.get_num_threads()} thread(s)' if args.device == 'cpu' else ''
    console.print(f'batch 1, image of {width} x {height}, {args.device}{threads}, torch {torch.__version__}')


if __name__ == '__main__':
    with user_errors('benchmark'):
        main()

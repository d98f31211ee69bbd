"""The cost of monitoring: BalanceMonitorHook and CollapseGuardHook, as a share of a training step.

Trains the smallest YOLO of the configs, for which the share is largest, on random images. Each iteration is timed with
the hooks and, in turn, without: their own time, and the difference between the two kinds of iteration.

Example:
    python benchmarks/bm_monitor.py
"""

import statistics
import tempfile
from typing import Dict, List

import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from random_batch import random_batch, read_config
from side_by_side import milliseconds, now, parser, prepare, ratio, show

from slf_mmdet.hooks import BalanceMonitorHook, CollapseGuardHook

MODEL = 'slf_yolov1_nano_1xb16-12e_digits-112px'


class TimedHook(Hook):
    """Runs other hooks in every second iteration, and times both kinds of iterations."""

    def __init__(self, hooks: List[Hook], device: torch.device) -> None:
        self.hooks = hooks
        self.device = device
        self.own: List[float] = []
        self.steps: Dict[bool, List[float]] = {False: [], True: []}

    def before_train(self, runner: Runner) -> None:
        for hook in self.hooks:
            hook.before_train(runner)

    def before_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        self.start = now(self.device)

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: object, **kwargs: object) -> None:
        watched = batch_idx % 2 == 1  # includes those of LoggerHook, every 50 iterations
        before = now(self.device) if watched else 0.0
        if watched:
            for hook in self.hooks:
                hook.after_train_iter(runner, batch_idx, *args, **kwargs)
            self.own.append(now(self.device) - before)
        self.steps[watched].append(now(self.device) - self.start)


def main() -> None:
    """Prints one table."""
    made = parser(__doc__, rounds=200)
    args = made.parse_args()
    device = prepare(args)
    cfg = read_config(f'slf/{MODEL}.py')
    batch_size = 2 if args.quick else 16
    batch = random_batch(cfg, batch_size)
    samples = [dict(inputs=image, data_samples=sample) for image, sample in zip(*batch.values())]
    timed = TimedHook([BalanceMonitorHook(), CollapseGuardHook()], device)
    with tempfile.TemporaryDirectory() as work_dir:
        runner = Runner(
            cfg.model,
            work_dir,
            train_dataloader=dict(
                batch_size=batch_size,
                sampler=dict(type='DefaultSampler'),
                collate_fn=pseudo_collate,
                dataset=samples * (2 * args.rounds),
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-6)),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=50)),
            custom_hooks=[timed],
            default_scope='mmdet',
            log_level='WARNING',
        )
        runner.train()
    seconds = {'without': timed.steps[False], 'with the hooks': timed.steps[True]}
    rows: List[List[object]] = [
        [name, milliseconds(seconds[name]), ratio(seconds, name, 'without')] for name in seconds
    ]
    # A mean, since most of their time is spent in the few iterations that are logged
    own = statistics.fmean(timed.own)
    share = own / statistics.median(timed.steps[False])
    rows.append(('the hooks themselves', f'{1e3 * own:.3g}', f'{share:.4f}'))
    title = f'Training step with BalanceMonitorHook and CollapseGuardHook, {MODEL}, batch {batch_size}'
    show(title, ('step', 'ms', 'over the step without'), rows, device)


if __name__ == '__main__':
    main()

"""What watching a run costs: BalanceMonitorHook and CollapseGuardHook, as a share of a training step.

Trains the smallest YOLO of the configs, for which the share is largest, on random images. Each iteration is timed with
the hooks and, in turn, without: their own time, and the difference between the two kinds of iteration.

    python benchmarks/bm_monitor.py
"""

import argparse
import statistics
import tempfile
import time
from typing import Dict, List

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData

import slf_mmdet
from slf_mmdet.hooks import BalanceMonitorHook, CollapseGuardHook

CONFIG = 'slf/slf_yolov1_nano_1xb16-12e_digits-112px.py'


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class TimedHook(Hook):
    """Runs other hooks in every second iteration, and takes the time of both kinds."""

    def __init__(self, hooks: List[Hook]) -> None:
        self.hooks = hooks
        self.own: List[float] = []
        self.steps: Dict[bool, List[float]] = {False: [], True: []}

    def before_train(self, runner: Runner) -> None:
        for hook in self.hooks:
            hook.before_train(runner)

    def before_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        self.start = now()

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: object, **kwargs: object) -> None:
        watched = batch_idx % 2 == 1  # LoggerHook's turn, every 50 iterations, is among them
        before = now() if watched else 0.0
        if watched:
            for hook in self.hooks:
                hook.after_train_iter(runner, batch_idx, *args, **kwargs)
            self.own.append(now() - before)
        self.steps[watched].append(now() - self.start)


def batch_of(samples: List[dict]) -> dict:
    return dict(inputs=[s['inputs'] for s in samples], data_samples=[s['data_samples'] for s in samples])


def random_sample(size: int) -> dict:
    from mmdet.structures import DetDataSample

    sample = DetDataSample(metainfo=dict(img_shape=(size, size), batch_input_shape=(size, size)))
    boxes = torch.tensor([[10.0, 10.0, 50.0, 60.0], [60.0, 40.0, 100.0, 100.0]])
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1, 7]))
    sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=torch.tensor([], dtype=torch.long))
    return dict(inputs=torch.randint(256, (3, size, size), dtype=torch.uint8), data_samples=sample)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--iters', type=int, default=400, help='default: %(default)s; the guard looks once in 400')
    args = parser.parse_args()
    cfg = Config.fromfile(slf_mmdet.get_config_path(CONFIG))
    timed = TimedHook([BalanceMonitorHook(), CollapseGuardHook()])
    with tempfile.TemporaryDirectory() as work_dir:
        runner = Runner(
            cfg.model,
            work_dir,
            train_dataloader=dict(
                batch_size=16,
                sampler=dict(type='DefaultSampler'),
                collate_fn=batch_of,
                dataset=[random_sample(112) for _ in range(16 * args.iters)],
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=50)),
            custom_hooks=[timed],
            default_scope='mmdet',
            log_level='WARNING',
        )
        runner.train()
    with_hooks, without = (statistics.median(timed.steps[watched]) for watched in (True, False))
    own = statistics.fmean(timed.own)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f'CPU, {torch.get_num_threads()} thread(s)'
    print(f'{device}: one step {1e3 * without:.2f} ms')
    print(f'  the hooks themselves      {1e6 * own:7.1f} us  {100 * own / without:6.3f} % of a step')
    print(f'  step with / step without  {with_hooks / without:10.4f}')


if __name__ == '__main__':
    main()

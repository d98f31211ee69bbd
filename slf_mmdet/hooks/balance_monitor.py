"""Logs what a balancer does: unweighted parts, their shares of the objective, the entropy of the weights."""

import math
from typing import Dict, Optional

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook, LoggerHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from ..balancers import LossBalancer, StepRecord
from ..utils.checks import is_count, require
from .balanced_steps import StepsSoFar, find_balancers


@HOOKS.register_module()
class BalanceMonitorHook(Hook):
    """Logs what every :class:`~slf_mmdet.balancers.LossBalancer` of the model does, to all of mmengine's backends.

    ========================== ======================================================================================
    ``raw_<part>``             the unweighted part
    ``share_<part>``           its share of the objective, in [0, 1]
    ``weights_entropy``        of the mean weights, as a share of its maximum log n: 1 for equal weights, 0 when one
                               part has all
    ``weights_smallest_first`` share of the iterations in which the smallest part had the largest weight
    ``selected_<part>``        share of the images in which the part was selected (its weight is > 0), for SLF
    ``ap_lost_<part>``         average precision lost with the part, a running mean, with the signal ``DeltaAP``
    ========================== ======================================================================================

    The weights themselves, ``balance_<part>``, are in the log without this hook. Each value, except those of a signal,
    is a mean over the iterations since the previous log, in the process that logs; iterations with values that are not
    finite are left out. mmengine's own means, ``balance_<part>`` and ``loss_<part>``, are over the last ``window_size``
    iterations of the run's log processor. With several balancers, the name of the submodule is inserted:
    ``raw_<module>_<part>``.

    Steps are collected on the device and read only when they are logged, so that no other iteration synchronises.

    Args:
        interval: iterations >= 1 between two logs; ``None`` for that of the run's ``LoggerHook``. The last iteration of
            an epoch is logged, too.

    Raises:
        ValueError: ``interval`` is no integer >= 1.
    """

    priority = 'NORMAL'  # before LoggerHook, which reads the message hub

    def __init__(self, interval: Optional[int] = None) -> None:
        hint = "It counts iterations; None follows the run's LoggerHook."
        right = interval is None or is_count(interval)
        require(right, 'BalanceMonitorHook', 'interval', 'an integer >= 1', interval, hint)
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        self._steps: Dict[str, StepsSoFar] = {
            prefix: StepsSoFar(balancer) for prefix, balancer in find_balancers(runner.model).items()
        }
        loggers = (hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook))
        self._interval = self.interval or next(loggers, 50)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: Optional[dict] = None
    ) -> None:
        for steps in self._steps.values():
            steps.add()
        last = self.end_of_epoch(runner.train_dataloader, batch_idx)
        if not (last or self.every_n_inner_iters(batch_idx, self._interval)):
            return
        for prefix, steps in self._steps.items():
            if len(steps):
                for key, value in summary(steps.take(), steps.balancer, prefix).items():
                    runner.message_hub.update_scalar(f'train/{key}', value)


def summary(steps: StepRecord, balancer: LossBalancer, prefix: str = '') -> Dict[str, float]:
    """What :class:`BalanceMonitorHook` logs of some steps, with a single read from the device.

    Args:
        steps: each field ``(steps, n)``.
        balancer: whose steps they are.
        prefix: comes before the name of the part in each key.
    """
    raw, weights, weighted, selected = (values.mean(0) for values in steps)
    of_smallest = steps.weights.gather(1, steps.losses.argmin(1, keepdim=True))
    smallest_first = ((steps.weights >= of_smallest).sum(1) == 1).to(raw.dtype).mean()  # none but itself
    by_part = dict(raw=raw, share=weighted / weighted.sum())
    if hasattr(balancer, 'selective_code'):
        by_part['selected'] = selected
    by_part.update({kind: row.to(raw) for kind, row in balancer.monitored().items()})
    values = {f'{kind}_{prefix}{part}': x for kind, row in by_part.items() for part, x in zip(balancer.parts, row)}
    values.update({f'weights_{prefix}entropy': evenness(weights), f'weights_{prefix}smallest_first': smallest_first})
    return dict(zip(values, torch.stack(list(values.values())).tolist()))


def evenness(weights: torch.Tensor) -> torch.Tensor:
    """Entropy of weights ``(n,)``, scaled to sum to 1, divided by its maximum log n; 0 for a single part."""
    shares = weights / weights.sum()
    return torch.special.entr(shares).sum() / math.log(max(len(weights), 2))

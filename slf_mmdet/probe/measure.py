"""Trains a detector for a few iterations and measures the parts of its loss."""

import copy
import dataclasses
import statistics
import tempfile
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..balancers import LossBalancer
from ..comparison.balancer_arms import BalancerArm
from ..slf import SLFBalancer
from ..slf.decision_loss import best_shares
from ..slf.signals.base import measuring_iterations
from ..slf.signals.delta_ap import costs_of_gains
from .recorder import Recorder, now


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was measured of the n parts of a loss.

    Attributes:
        parts: their names.
        base_weights: ``(n,)`` of the config.
        losses: ``(n,)`` unweighted, the mean over the batches.
        gradient_norms: ``(n,)`` root mean square over the batches of the norm with respect to the shared parameters,
            unweighted; ``None`` where the detector offers none.
        cosines: ``(n, n)`` of the gradients, from inner products summed over the batches; ``None`` as above.
        precision: mean soft average precision of a batch, in [0, 1]; ``None`` where it cannot be measured.
        ap_lost: ``(n,)`` how much higher it would be, were one part solved; ``None`` as above.
        ap_lost_error: ``(n,)`` standard error of that over the batches; ``None`` as above.
        slf_weights: ``(n,)`` where SLF without settings would move the weights, if this stayed so; ``None`` as above.
        step_seconds: median of the iterations, without measurements.
        measuring_seconds: median of what a measurement of SLF adds to an iteration; ``None`` as above.
        measured_share: share of the run's iterations in which SLF measures.
        batches: number of measured batches.
        iterations: of training before them.
        problems: what cannot be measured, ``'gradients'`` or ``'quality'`` -> why.
    """

    parts: Tuple[str, ...]
    base_weights: np.ndarray
    losses: np.ndarray
    gradient_norms: Optional[np.ndarray]
    cosines: Optional[np.ndarray]
    precision: Optional[float]
    ap_lost: Optional[np.ndarray]
    ap_lost_error: Optional[np.ndarray]
    slf_weights: Optional[np.ndarray]
    step_seconds: float
    measuring_seconds: Optional[float]
    measured_share: float
    batches: int
    iterations: int
    problems: Dict[str, str]

    @property
    def cost(self) -> Optional[float]:
        """Estimated time of a run with SLF over that of the same run without."""
        if self.measuring_seconds is None:
            return None
        return 1 + self.measured_share * self.measuring_seconds / self.step_seconds

    @property
    def moved(self) -> Optional[float]:
        """Share of the total weight that SLF would move from some parts to others, in [0, 1]."""
        if self.slf_weights is None:
            return None
        return float(np.abs(self.slf_weights - self.base_weights).sum() / (2 * self.base_weights.sum()))


def measure(
    cfg: Config, arm: BalancerArm, checkpoint: Optional[str] = None, iterations: int = 200, batches: int = 20
) -> Measurement:
    """Trains the config with its own weights for some iterations, then measures on further batches.

    Nothing is written. With a checkpoint nothing is trained either: the learning rate is 0.

    Args:
        cfg: of a training.
        arm: makes a model with a balancer of the config, one of static weights.
        checkpoint: to load; of the plain detector or of one with a balancer.
        iterations: of training before the measurement, by the schedule of the config; with a checkpoint 0.
        batches: to measure on, >= 2.

    Raises:
        ValueError: the model has no or several balancers, or the training ends before the measurement.
    """
    cfg = arm.apply(_bare(cfg))
    if checkpoint is not None:
        cfg.load_from, iterations = str(checkpoint), 0
        cfg.param_scheduler = []
        cfg.optim_wrapper.optimizer.lr = 0.0
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = Runner.from_cfg(cfg)
        balancers = [module for module in runner.model.modules() if isinstance(module, LossBalancer)]
        if len(balancers) != 1:
            raise ValueError(f'{cfg.filename}: a model with one balancer is needed, found {len(balancers)}.')
        recorder = Recorder()
        handle = balancers[0].register_forward_pre_hook(recorder, with_kwargs=True)
        with Progress(
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        ) as progress:
            hook = _MeasureHook(recorder, iterations, batches, progress)
            runner.register_hook(hook, priority='LOWEST')
            try:
                runner.train()
            except _EnoughError:
                pass
            finally:
                handle.remove()
        if len(recorder.losses) < 2:
            raise ValueError(
                f'{cfg.filename}: the training ended after {runner.max_iters} iterations, before the measurement of '
                f'{batches} batches after {iterations} iterations. Measure earlier.'
            )
        return _measurement(balancers[0], recorder, hook, runner.max_iters)


def _bare(cfg: Config) -> Config:
    """The config without evaluation, checkpoints, logs and other writers."""
    cfg = copy.deepcopy(cfg)
    for split in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{split}_{key}'] = None
    cfg.default_hooks = dict(checkpoint=None, logger=None)
    # Early stopping waits for an evaluation, which there is none of
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if 'EarlyStopping' not in str(hook['type'])]
    cfg.visualizer = dict(type='Visualizer', vis_backends=None)
    cfg.log_level = 'WARNING'
    cfg.resume = False
    return cfg


class _EnoughError(Exception):
    """Ends a training once everything is measured: a loop over epochs can be stopped between epochs only."""


class _MeasureHook(Hook):
    def __init__(self, recorder: Recorder, iterations: int, batches: int, progress: Progress) -> None:
        self.recorder = recorder
        self.iterations = iterations
        self.batches = batches
        self.progress = progress
        self.training = progress.add_task('training', total=iterations, visible=iterations > 0)
        self.measuring = progress.add_task('measuring', total=batches)
        self.step_seconds: List[float] = []
        self._start = 0.0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        self.recorder.active = runner.iter >= self.iterations
        self.recorder.spent = 0.0
        self._start = now()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None, outputs: Optional[dict] = None
    ) -> None:
        self.step_seconds.append(now() - self._start - self.recorder.spent)
        self.progress.advance(self.measuring if self.recorder.active else self.training)
        if len(self.recorder.losses) >= self.batches:
            raise _EnoughError


def _measurement(balancer: LossBalancer, recorder: Recorder, hook: _MeasureHook, run_length: int) -> Measurement:
    base_weights = balancer.base_weights.cpu().double()
    norms = cosines = precision = lost = error = slf_weights = None
    if recorder.gradients:
        products = torch.stack(recorder.gradients).double().sum(0)
        size = products.diagonal().clamp_min(torch.finfo(products.dtype).tiny).sqrt()
        cosines = (products / size[:, None] / size[None]).numpy()
        norms = (size / len(recorder.gradients) ** 0.5).numpy()
    if recorder.precisions:
        found = torch.stack(recorder.precisions).double()
        gains = found[:, 1:] - found[:, :1]
        precision, lost = float(found[:, 0].mean()), gains.mean(0).numpy()
        error = (gains.std(0) / len(gains) ** 0.5).numpy()
        slf_weights = weights_of_slf(base_weights, gains.mean(0), balancer.parts).numpy()
    return Measurement(
        parts=balancer.parts,
        base_weights=base_weights.numpy(),
        losses=torch.stack(recorder.losses).double().mean(0).numpy(),
        gradient_norms=norms,
        cosines=cosines,
        precision=precision,
        ap_lost=lost,
        ap_lost_error=error,
        slf_weights=slf_weights,
        step_seconds=statistics.median(hook.step_seconds),
        measuring_seconds=statistics.median(recorder.seconds) if recorder.seconds else None,
        measured_share=measuring_iterations(run_length) / run_length,
        batches=len(recorder.losses),
        iterations=hook.iterations,
        problems=recorder.problems,
    )


def weights_of_slf(base_weights: torch.Tensor, ap_lost: torch.Tensor, parts: Tuple[str, ...]) -> torch.Tensor:
    """Weights ``(n,)`` that ``SLFBalancer`` without settings moves to, if each part always costs ``ap_lost``."""
    total = base_weights.sum()
    slf = SLFBalancer(parts=parts, base_weights=dict(zip(parts, base_weights.tolist())), feature_dim=1)
    return total * best_shares(costs_of_gains(ap_lost, total), base_weights / total, slf.kl_weight, total)

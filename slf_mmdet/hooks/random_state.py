"""Makes the random numbers of a training a function of its seed and its step: a resumed run draws the same ones.

mmengine saves the seed of a run, but not the states of its random generators. Saving these would not be enough:
validation and worker processes advance them, too, and differ between a resumed and an uninterrupted run. So the
generators are reseeded for every step, from the seed and the number of the step.
"""

import functools
import random
from typing import Any, Callable, Iterator, Optional

import numpy as np
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

STATE = 'random_state'
_EPOCH, _ITERATION, _LOADER = 0, 1, 2


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Reseeds Python, NumPy and PyTorch for every step, and the data loader's workers for every epoch.

    A run that is resumed from the checkpoint of an epoch, or of an iteration where the loop counts those, then equals
    the uninterrupted one, bit for bit where the arithmetic is deterministic: on CPU, or with
    ``randomness=dict(deterministic=True)``. The number of worker processes must be the same. Without
    ``randomness.seed``, the run continues with the seed that mmengine drew at first. Where this cannot be exact, a
    warning at the start says why.

    Worker processes are restarted for every epoch, also with ``persistent_workers=True``, whose random states a resumed
    run could not restore. Without this hook, workers that are not persistent draw the same numbers in every epoch.

    Loops that count iterations load and skip the data of the steps before, which is mmengine's way. For that the data
    loader begins anew when the training starts, with the seed of the run, and the generators of the main process are
    reseeded for every batch that it loads.

    Args:
        enabled: ``False`` leaves everything to mmengine.
    """

    priority = 'VERY_HIGH'

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._loaded: dict = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.enabled:
            loader = runner.train_dataloader
            seed = getattr(real_sampler(loader), 'seed', None)
            checkpoint[STATE] = dict(sampler_seed=seed, num_workers=loader.num_workers)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._loaded = checkpoint.get(STATE, {})

    def before_train(self, runner: Runner) -> None:
        if not self.enabled:
            return
        # mmengine made sampler and workers before it took the seed from the checkpoint
        seed = self._loaded.get('sampler_seed') if runner.iter else None
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            _set_seed(runner.train_dataloader, seed)
        elif hasattr(runner.train_loop, 'dataloader_iterator'):
            _begin_anew(runner, seed)
        for reason in self._reasons(runner):
            runner.logger.warning(f'RandomStateHook: a resumed run will not equal an uninterrupted one: {reason}')

    def _reasons(self, runner: Runner) -> Iterator[str]:
        """Why resuming, now or later, is not exact."""
        loader, loop = runner.train_dataloader, runner.train_loop
        sampler = real_sampler(loader)
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        if not hasattr(sampler, 'seed') and not isinstance(sampler, (SequentialSampler, RandomSampler)):
            yield f'{type(sampler).__name__} has no seed, so the order of its images is not known.'
        if not by_epoch and not isinstance(getattr(loop, 'dataloader_iterator', None), SeededBatches):
            yield (
                f'{type(loop).__name__} was given a data loader instead of the config of one, which cannot begin anew. '
                'Give train_dataloader as a dict.'
            )
        if by_epoch and runner.iter != runner.epoch * len(loader):
            yield (
                f'the checkpoint is from within an epoch ({runner.iter} iterations of {len(loader)} an epoch), which '
                'begins again. Save checkpoints at the end of an epoch.'
            )
        before = self._loaded.get('num_workers', loader.num_workers) if runner.iter else loader.num_workers
        if before != loader.num_workers:
            yield f'num_workers was {before} and is {loader.num_workers} now, so augmentations draw other numbers.'
        if runner.iter and 'sampler_seed' not in self._loaded:
            yield 'the checkpoint was saved without this hook, so the order of its images is not known.'

    def before_train_epoch(self, runner: Runner) -> None:
        if not self.enabled:
            return
        seed = mixed_seed(runner.seed, _EPOCH, runner.epoch)
        seed_all(seed)
        loader = runner.train_dataloader
        init = loader.worker_init_fn
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and 'seed' in getattr(init, 'keywords', ()):
            loader.worker_init_fn = functools.partial(init, seed=seed)
            loader._iterator = None  # where DataLoader keeps persistent workers

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        if self.enabled:
            seed_all(mixed_seed(runner.seed, _ITERATION, runner.iter))


class SeededBatches:
    """Iterator over batches; the global generators are reseeded before each, from the seed and its number.

    Args:
        make: makes the iterator, which may load the first batches ahead.
        seed: of the run.
    """

    def __init__(self, make: Callable[[], Iterator], seed: int) -> None:
        self._seed, self._number = seed, 0
        seed_all(mixed_seed(seed, _LOADER))
        self._batches = make()

    def __iter__(self) -> 'SeededBatches':
        return self

    def __next__(self) -> Any:
        seed_all(mixed_seed(self._seed, _LOADER, self._number + 1))
        self._number += 1
        return next(self._batches)


class _Itself:
    """Stands for an object that a deep copy of a config does not copy."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def __deepcopy__(self, memo: dict) -> Any:
        return self.kept


def real_sampler(loader: DataLoader) -> Any:
    """The sampler that decides the order of the images; it may be inside the batch sampler.

    PyTorch's ``DataLoader.sampler`` is a ``SequentialSampler`` without use where there is a batch sampler.
    """
    found: Any = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    while not hasattr(found, 'seed') and hasattr(found, 'sampler'):
        found = found.sampler
    return found


def _set_seed(loader: DataLoader, seed: Optional[int]) -> None:
    sampler = real_sampler(loader)
    if seed is not None and hasattr(sampler, 'seed'):
        sampler.seed = seed


def _begin_anew(runner: Runner, seed: Optional[int]) -> None:
    """A data loader without the batches that workers have loaded ahead, and with the seed of the run."""
    loop: Any = runner.train_loop
    cfg = runner.cfg.get('train_dataloader')
    if not isinstance(cfg, dict):
        return
    settings = {key: value for key, value in cfg.items() if key != 'num_batch_per_epoch'}
    loop.dataloader = runner.build_dataloader(dict(settings, dataset=_Itself(loop.dataloader.dataset)), runner.seed)
    _set_seed(loop.dataloader, seed)
    make: Callable[..., Iterator] = type(loop.dataloader_iterator)
    loop.dataloader_iterator = SeededBatches(functools.partial(make, loop.dataloader), runner.seed)


def mixed_seed(*numbers: int) -> int:
    """One seed < 2^31 from several numbers >= 0, without the overlaps that sums of them have."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint32)[0] >> 1)


def seed_all(seed: int) -> None:
    """Seeds the global generators of Python, NumPy and PyTorch, on all devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

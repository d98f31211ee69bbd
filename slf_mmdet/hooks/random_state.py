"""Makes the random numbers of a training a function of its seed and its step: a resumed run draws the same ones.

mmengine saves the seed of a run, but not the states of its random generators. Saving these would not be enough:
validation and worker processes advance them, too, and differ between a resumed and an uninterrupted run. So the
generators are reseeded for every step, from the seed and the number of the step.
"""

import functools
import random

import numpy as np
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import EpochBasedTrainLoop, Runner

STATE = 'random_state'
_EPOCH, _ITERATION = 0, 1


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Reseeds Python, NumPy and PyTorch for every step, and the data loader's workers for every epoch.

    A run that is resumed from the checkpoint of an epoch then equals the uninterrupted one, bit for bit where the
    arithmetic is deterministic: on CPU, or with ``randomness=dict(deterministic=True)``. The number of worker processes
    must be the same. Without ``randomness.seed``, the run continues with the seed that mmengine drew at first.

    Worker processes are restarted for every epoch, also with ``persistent_workers=True``, whose random states a resumed
    run could not restore. Without this hook, workers that are not persistent draw the same numbers in every epoch.

    In loops that count iterations, data augmentation is replayed by mmengine, which loads and skips the data of the
    steps before; with ``num_workers=0`` and random augmentation this is not exact.

    Args:
        enabled: ``False`` leaves everything to mmengine.
    """

    priority = 'VERY_HIGH'

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._loaded: dict = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.enabled:
            checkpoint[STATE] = dict(sampler_seed=getattr(runner.train_dataloader.sampler, 'seed', None))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._loaded = checkpoint.get(STATE, {})

    def before_train(self, runner: Runner) -> None:
        seed = self._loaded.get('sampler_seed')
        sampler = runner.train_dataloader.sampler
        if not self.enabled or runner.iter == 0 or seed is None or getattr(sampler, 'seed', seed) == seed:
            return
        # mmengine made the sampler before it took the seed from the checkpoint
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            sampler.seed = seed
        else:
            runner.logger.warning(
                f'RandomStateHook: the data order continues with another seed. Set randomness.seed={runner.seed}.'
            )

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


def mixed_seed(*numbers: int) -> int:
    """One seed < 2^31 from several numbers >= 0, without the overlaps that sums of them have."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint32)[0] >> 1)


def seed_all(seed: int) -> None:
    """Seeds the global generators of Python, NumPy and PyTorch, on all devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

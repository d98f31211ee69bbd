"""A guarded run in two processes, one of which meets a fault. Spawned processes import it by this name."""

from pathlib import Path

import torch
from mmengine.model import MMDistributedDataParallel

from slf_mmdet.hooks import NonFiniteError, NonFiniteGuardHook

from .tiny_run import TinyDetector, build_runner, image


def process(rank, out):
    """Saves the number of skipped steps, the parameters, and the message of the policy ``raise`` as ``out.RANK``."""
    # Images go to the processes by turns: the fault is in the second step of the second
    images = [image(i, float('nan') if i == 5 else None) for i in range(16)]
    skip = NonFiniteGuardHook('skip')
    runner = _runner(out, images, skip)
    runner.train()
    message = ''
    try:
        _runner(out, images, NonFiniteGuardHook('raise')).train()
    except NonFiniteError as error:
        message = str(error)
    torch.save(dict(skipped=skip.num_skipped, state=runner.model.module.state_dict(), message=message), f'{out}.{rank}')


def _runner(out, images, guard):
    torch.manual_seed(0)
    model = MMDistributedDataParallel(TinyDetector(dict(type='StaticBalancer')))
    return build_runner(Path(out).parent, model, images, guard)

"""Runs under FSDP, and under strategies of FlexibleRunner, in two processes. They import it by this name."""

import os
from pathlib import Path

import torch
from mmengine import dist
from mmengine.hooks import CheckpointHook
from mmengine.model import MMDistributedDataParallel, MMFullyShardedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import FlexibleRunner, Runner
from mmengine.utils import digit_version

from slf_mmdet.balancers import ShardedTrainingError
from slf_mmdet.hooks import RandomStateHook, SafeResumeHook

from ..test_hooks.tiny_run import TinyDetector, build_runner, collate, image

SLF = dict(type='SLFBalancer', signal=dict(type='DeltaAP', interval=1))
IMAGES = [image(i) for i in range(16)]
CPU = torch.device('cpu')
FSDP_ON_CPU = digit_version(torch.__version__) >= digit_version('2.6')  # `fully_shard`; older ones want a GPU
DDP = dict(type='DDPStrategy', model_wrapper=dict(type='MMDistributedDataParallel', device_ids=None))
FSDP = dict(type='FSDPStrategy', model_wrapper=dict(type='MMFullyShardedDataParallel', device_id=CPU))


def process(rank, out):
    """Saves the states of trainings by DDP, and the messages of those that are refused."""
    os.environ['LOCAL_RANK'] = str(rank)
    folder = Path(out).parent
    result = dict(
        ordinary=state(run(folder / 'ordinary', wrap=MMDistributedDataParallel)),
        flexible=state(run(folder / 'flexible', DDP, launcher='pytorch')),
        resumed=state(run(folder / 'flexible', DDP, launcher='pytorch', resume_from='epoch_1.pth')),
    )
    if FSDP_ON_CPU:
        result['strategy'] = refusal(run, folder / 'strategy', FSDP, launcher='pytorch')
        result['wrapper'] = refusal(step, first_version)
        result['static'] = refusal(step, first_version, dict(type='StaticBalancer'))
        result['second_version'] = refusal(step, second_version)
    torch.save(result, f'{out}.{rank}')


def run(work_dir, strategy=None, launcher='none', resume_from='', wrap=lambda model: model):
    """Two epochs, or the second of them, by the ordinary runner or, with a strategy, by FlexibleRunner."""
    torch.manual_seed(0)
    runner = dict(randomness=dict(seed=0))
    if strategy is not None:
        runner.update(strategy=dict(strategy), launcher=launcher)
    if resume_from:
        (work_dir / 'last_checkpoint').write_text(str(work_dir / resume_from))
        dist.barrier()
    built = build_runner(
        work_dir,
        wrap(TinyDetector(SLF)),
        IMAGES,
        RandomStateHook(),
        SafeResumeHook(),
        CheckpointHook(interval=1),
        max_epochs=2,
        shuffle=True,
        resume=bool(resume_from),
        runner=runner,
        runner_class=Runner if strategy is None else FlexibleRunner,
    )
    built.train()
    return built


def state(runner):
    return {key.removeprefix('module.'): value.clone() for key, value in runner.model.state_dict().items()}


def step(wrap, balancer=SLF):
    """Without mmengine's ordinary runner, whose initialisation of weights ends with an abort under FSDP."""
    model = wrap(TinyDetector(balancer))
    model.train_step(collate(IMAGES[:2]), OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))


def refusal(call, *args, **settings):
    """The message of the error that the call must raise."""
    try:
        call(*args, **settings)
    except ShardedTrainingError as error:
        return str(error)
    return ''


def first_version(model):
    return MMFullyShardedDataParallel(model, device_id=CPU)


def second_version(model):
    from torch.distributed.fsdp import fully_shard

    return fully_shard(model, mesh=torch.distributed.init_device_mesh('cpu', (2,)))

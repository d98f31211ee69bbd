"""Runs that are killed. Processes import this module by its name."""

import contextlib
import os
import signal
from pathlib import Path

import torch
from mmdet.registry import HOOKS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.runner import Runner

import slf_mmdet  # noqa: F401  registers the modules of the config

from ..interpreters import forkserver
from ..processes import LIMIT

END = 'end.pth'
ORDER = 'order.txt'


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module(force=True)  # pytest may import this file by another name, too
class KillHook(Hook):
    """Sends SIGKILL after an iteration, or when half of a checkpoint is written; notes the order of the images.

    Args:
        iteration: counted from 0; -1 for never.
        checkpoint: end of its file name; '' for never.
    """

    def __init__(self, iteration=-1, checkpoint=''):
        self.iteration = iteration
        self.checkpoint = checkpoint

    def before_run(self, runner):
        write = LocalBackend.put

        def put(backend, content, filepath):
            if self.checkpoint and str(filepath).endswith(self.checkpoint):
                write(backend, content[: len(content) // 2], filepath)
                kill()
            write(backend, content, filepath)

        LocalBackend.put = put

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        names = [Path(sample.img_path).stem for sample in data_batch['data_samples']]
        with open(Path(runner.work_dir) / ORDER, 'a') as file:
            file.write(f'{runner.iter} {" ".join(names)}\n')
        if runner.iter == self.iteration:
            kill()


def train(cfg, cwd):
    """Trains, and leaves weights, the optimizer's state and the last metrics in the file ``END``."""
    os.chdir(cwd)
    torch.set_num_threads(1)
    register_all_modules()
    Path(cfg['work_dir']).mkdir(exist_ok=True)
    with open(Path(cfg['work_dir']) / 'stdout.txt', 'a') as file, contextlib.redirect_stdout(file):
        runner = Runner.from_cfg(Config(cfg))
        runner.train()
    metrics = {
        key: scalars.data[0].tolist()[-1:]
        for key, scalars in runner.message_hub.log_scalars.items()
        if key.startswith('val/pascal_voc/')
    }
    end = dict(state=runner.model.state_dict(), optimizer=runner.optim_wrapper.state_dict(), metrics=metrics)
    torch.save(end, Path(cfg['work_dir']) / END)


def exit_code(cfg, cwd):
    """Trains in a process of its own."""
    process = forkserver().Process(target=train, args=(cfg, str(cwd)))
    process.start()
    process.join(LIMIT)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f'the run did not end within {LIMIT} s')
    return process.exitcode

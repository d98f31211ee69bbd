"""Hooks that kill the process that they run in. Configs import them by this name."""

import os
import signal

from mmdet.registry import HOOKS
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class KillHook(Hook):
    """Sends SIGKILL after an iteration, or when half of a checkpoint is written.

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
        if runner.iter == self.iteration:
            kill()

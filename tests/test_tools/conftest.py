"""A short training run that several tests look at, started as users start one."""

import shutil

import pytest

from ..helpers import DIGITS_SLF, IN_PROCESS, ROOT, SHORT
from ..interpreters import run_forked


@pytest.fixture(scope='session')
def train(digits):
    """Runs tools/train.py in the folder of the digits, for some epochs."""

    def run(work_dir, epochs, *args, options=(), config=DIGITS_SLF):
        options = (*SHORT, *IN_PROCESS, f'train_cfg.max_epochs={epochs}', *options)
        return run_forked(
            ROOT / 'tools/train.py', config, '--work-dir', work_dir, *args, '--cfg-options', *options, cwd=digits
        )

    return run


@pytest.fixture(scope='session')
def trained(train, tmp_path_factory):
    """(work dir, output) of one epoch of SLF with TensorBoard."""
    work_dir = tmp_path_factory.mktemp('trained')
    config = work_dir / 'with_tensorboard.py'
    config.write_text(
        f'_base_ = {str(DIGITS_SLF)!r}\n'
        "visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])\n"
    )
    done = train(work_dir, 1, '--auto-scale-lr', config=config)
    return work_dir, done.stdout


@pytest.fixture
def trained_copy(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / 'run')

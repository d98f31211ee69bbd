"""The summary of skipped tests, and the exit code of CI, in runs of pytest on files written here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def run(folder, reason, workers, **env):
    (folder / 'test_it.py').write_text(
        f"""import pytest
def test_good(): pass
@pytest.mark.skipif(True, reason={reason!r})
def test_skipped(): pass
"""
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith('SLF_')} | env
    command = [sys.executable, '-m', 'pytest', '-p', 'skips', '-p', 'no:cacheprovider', *workers, str(folder)]
    env['PYTHONPATH'] = str(Path(__file__).parent)
    return subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


NO_GPU, NO_DATA = 'there is no GPU', 'x.tar is absent: set SLF_SHARED to the folder that holds data/x.tar'


@pytest.mark.parametrize(
    ('reason', 'env', 'code', 'workers'),
    [
        ('needs a library', {}, 0, ()),
        ('needs a library', dict(SLF_CI='1'), 1, ()),
        ('needs a library', dict(SLF_CI='1'), 1, ('-n', '1')),
        ('needs GPUtil', dict(SLF_CI='1'), 1, ()),
        (NO_GPU, dict(SLF_CI='1', SLF_SHARED='x'), 0, ()),
        (NO_GPU, dict(SLF_CI='1', SLF_SHARED='x'), 0, ('-n', '1')),
        (NO_DATA, dict(SLF_CI='1'), 0, ()),
        (NO_DATA, dict(SLF_CI='1', SLF_SHARED='x'), 1, ()),
    ],
)
def test_skip(tmp_path, reason, env, code, workers):
    done = run(tmp_path, reason, workers, **env)
    assert done.returncode == code, done.stdout
    assert '1 tests skipped' in done.stdout and f'   1  {reason}' in done.stdout
    assert ('SLF_CI is set: these tests must run here' in done.stdout) == bool(code)

"""``chaos.py`` in its short form, and the pieces that it rests on."""

import json
import os
import signal
import sys
import time

import pytest
from filelock import FileLock
from mmengine.config import Config

from slf_mmdet.comparison import BusyError, Experiment, locked, parse_arm
from slf_mmdet.comparison.planned_run import first_ready
from slf_mmdet.comparison.run_process import CANNOT_WRITE, describe_end, start_run
from slf_mmdet.utils.files import is_unwritable, remove_partial, whole_file, write_text

from ..helpers import DIGITS_SLF
from ..interpreters import forkserver
from . import chaos

pytestmark = pytest.mark.integration

linux = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')


@pytest.mark.slow
@linux
def test_a_comparison_under_faults_is_the_undisturbed_one(digits, tmp_path):
    process = forkserver().Process(target=chaos.suite, args=(tmp_path, digits, 3, 0))
    process.start()
    process.join(500)
    if process.is_alive():
        process.kill()
    assert process.exitcode == 0, (tmp_path / 'chaos.txt').read_text()
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert [figures[f'kills of {victim}'] for victim in ('parents', 'children', 'both')] == [1, 1, 1]
    assert [figures[fault] for fault in ('two at once', 'lack of memory', 'clock set back')] == [1, 1, 1]
    assert figures['runs'] == 2 * figures['comparisons'] >= 8


@pytest.mark.parametrize('step', ['write', 'fsync', 'replace'])
def test_a_file_is_the_old_or_the_new_one_wherever_its_writer_is_killed(tmp_path, step):
    path = tmp_path / 'result.json'
    path.write_text('old')
    code = f"""
import os, signal
from pathlib import Path
from slf_mmdet.utils import files

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

if {step!r} != 'write':
    setattr(*((os, 'fsync', die) if {step!r} == 'fsync' else (Path, 'replace', die)))
with files.whole_file(Path({str(path)!r})) as partial:
    with open(partial, 'w') as file:
        file.write('ne')
        file.flush()
        if {step!r} == 'write':
            die()
        file.write('w')
"""
    assert chaos.Forked(lambda: exec(code, {}), os.devnull).wait() == -signal.SIGKILL
    assert path.read_text() == 'old' and len(list(tmp_path.iterdir())) == 2
    remove_partial(tmp_path)
    write_text(path, 'new')
    assert [found.read_text() for found in tmp_path.iterdir()] == ['new']


def test_a_file_that_cannot_be_written_keeps_its_content(tmp_path):
    path = tmp_path / 'result.json'
    path.write_text('old')
    message = r'result.json cannot be written: No space left on device. Make room'
    with pytest.raises(OSError, match=message) as caught, whole_file(path) as partial:
        partial.write_text('ne')
        raise OSError(28, 'No space left on device')
    assert is_unwritable(caught.value) and not is_unwritable(OSError(2, 'No such file'))
    assert [found.read_text() for found in tmp_path.iterdir()] == ['old']


@linux
def test_a_lock_names_its_owner_and_ends_with_it(tmp_path):
    def owner():
        with locked(tmp_path):
            (tmp_path / 'ready').write_text('')
            time.sleep(600)

    process = chaos.Forked(owner, tmp_path / 'log.txt')
    try:
        end = time.monotonic() + 60
        while not (tmp_path / 'ready').is_file():
            assert time.monotonic() < end
            time.sleep(0.01)
        message = f'{tmp_path} is in use by process {process.pid} on .*Wait until'
        with pytest.raises(BusyError, match=message), locked(tmp_path, wait=0):
            pass
    finally:
        process.kill()
        process.wait()
    other = FileLock(tmp_path / '.lock', timeout=0, is_singleton=False)
    with locked(tmp_path, wait=0), locked(tmp_path, wait=0):  # left behind by a process that was killed; taken twice
        assert f'process {os.getpid()} on' in (tmp_path / '.owner').read_text()
    other.acquire()
    other.release()


def test_how_a_process_ended():
    assert describe_end(-9) == 'killed by signal 9 (SIGKILL), often by the kernel for lack of memory'
    assert describe_end(-11) == 'killed by signal 11 (SIGSEGV)'
    assert describe_end(-200) == 'killed by signal 200 (unknown)'
    assert 'the disk or a quota is full' in describe_end(CANNOT_WRITE)
    assert describe_end(1) == 'ended with exit status 1' and describe_end(0) == 'ended without a result'


@pytest.fixture
def experiment(tmp_path):
    arms = [parse_arm('static'), parse_arm('slf'), parse_arm('rlw')]
    return Experiment(Config.fromfile(DIGITS_SLF), arms, [0, 1], tmp_path)


def test_the_first_arm_of_each_seed_gives_the_network(experiment, tmp_path):
    """Whichever arm is ready first, else the table would depend on how fast the processes are."""
    waiting, running = list(experiment.runs), []
    for expected in ('static, seed 0', 'static, seed 1', None):
        ready = first_ready(waiting, running)
        assert (ready and ready.name) == expected
        if ready:
            waiting.remove(ready)
            running.append(ready)
    (tmp_path / 'start_seed_1.pth').write_bytes(b'')
    assert first_ready(waiting, running).name == 'slf, seed 1'
    del running[0]  # it failed before it had saved its network
    assert first_ready(waiting, running).name == 'slf, seed 0'


def test_a_damaged_result_is_an_error_that_names_it(experiment):
    run = experiment.runs[0]
    run.folder.mkdir(parents=True)
    (run.folder / 'result.json').write_text('{"val": ')
    with pytest.raises(ValueError, match=r'static/seed_0/result.json is damaged \(.*\). Delete it to repeat'):
        run.result()


def test_runs_of_any_config_can_be_resumed_exactly(experiment):
    """The configs of mmdet have no RandomStateHook."""
    cfg = experiment.cfg
    kept = Config.fromstring(experiment._config(experiment.runs[0]), '.py')
    assert [hook.type for hook in kept.custom_hooks].count('mmdet.RandomStateHook') == 0
    del cfg.default_hooks['random_state']
    added = Config.fromstring(experiment._config(experiment.runs[0]), '.py')
    assert [hook.type for hook in added.custom_hooks].count('mmdet.RandomStateHook') == 1


def test_the_log_of_a_run_that_cannot_be_opened_is_an_error_that_names_it(tmp_path):
    (tmp_path / 'run').write_text('')
    with pytest.raises(OSError, match=r'log.txt cannot be written: Not a directory. Use a work dir'):
        start_run(tmp_path / 'run', tmp_path / 'run' / 'log.txt', os.environ)

"""A comparison under faults ends with the table of an undisturbed one, to the bit.

    python -m tests.test_comparison.chaos --kills 20 --seed 0

kills ``tools/compare.py``, the processes of its runs and both at random moments, and runs it on a full disk, on a
read-only one, twice at once, short of memory and with a clock that is set back. It prints the figures of
``docs/promises.md``. The test of the suite does the same with fewer kills, in forks of a process that has imported all.
Linux only.
"""

import argparse
import collections
import contextlib
import csv
import functools
import gc
import json
import os
import random
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import mmengine.config.config
import torch
from mmdet.utils import register_all_modules

from slf_mmdet.comparison import LocalEngine
from slf_mmdet.comparison.engines.base import LOG
from slf_mmdet.comparison.engines.local import LocalRun
from slf_mmdet.comparison.run import main as run_main
from slf_mmdet.comparison.run_process import WITH_PARENT
from slf_mmdet.datasets.digits_voc import build_digits_voc

from ..helpers import CONFIGS, IN_PROCESS, ROOT
from . import witness

CONFIG = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'
EPOCHS, ITERATIONS = 3, 2  # 16 images in batches of 8
OPTIONS = (
    *IN_PROCESS,
    f'train_cfg.max_epochs={EPOCHS}',
    'train_cfg.val_interval=2',
    'train_dataloader.batch_size=8',
    f'train_dataloader.dataset.indices={ITERATIONS * 8}',
)
WITNESSED = f"""
_base_ = {str(CONFIG)!r}
custom_imports = dict(imports=['slf_mmdet', 'tests.test_comparison.witness'], allow_failed_imports=False)
custom_hooks = [dict(type='WitnessHook')]
"""
TIMES = ('seconds_per_iter', 'seconds')
LIMIT = 300  # seconds until a process counts as hung


class Forked:
    """As :class:`subprocess.Popen`, of a function in a fork of this process, which need not import all again."""

    def __init__(self, function, log, stdin=None):
        self.returncode = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            sys.stdout, sys.stderr = os.fdopen(1, 'w', buffering=1), os.fdopen(2, 'w', buffering=1)
            if stdin is not None:
                os.dup2(stdin, 0)
            code = function() or 0
        except SystemExit as end:
            code = end.code or 0
            if not isinstance(code, int):
                print(code, file=sys.stderr)
                code = 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout=LIMIT):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return self.returncode

    def kill(self, number=signal.SIGKILL):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.kill(signal.SIGTERM)


def fork_run(engine, folder, slot):
    """Takes the place of ``LocalEngine.start``: a fork instead of a new process, the rest alike."""
    read, write = os.pipe()

    def function():
        os.close(write)
        return run_main([str(folder), WITH_PARENT])

    process = Forked(function, folder / LOG, stdin=read)
    os.close(read)
    process.stdin = os.fdopen(write, 'wb')
    return LocalRun(process)


class Comparison:
    """One comparison in a work dir, whose command is started again and again.

    Args:
        chaos: the settings that all comparisons share.
        work_dir: of the comparison.
    """

    def __init__(self, chaos, work_dir):
        self.chaos = chaos
        self.work_dir = work_dir
        self.log = work_dir.with_name(f'{work_dir.name}.txt')
        self.witness = work_dir.with_name(f'{work_dir.name}.witness')
        self.witness.mkdir()
        self.starts = 0

    def start(self, limit=None, log=None, **env):
        """Starts the command.

        Args:
            limit: of the size of a file, in bytes.
            log: file for its output, instead of the comparison's.
            env: further environment variables.
        """
        self.starts += 1
        log = log or self.log
        env = {'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg', witness.FOLDER: str(self.witness), **env}
        arguments = self.chaos.arguments(self.work_dir)
        tool = str(ROOT / 'tools' / 'compare.py')
        limits = None if limit is None else (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        if self.chaos.fork:
            return Forked(functools.partial(self._in_fork, tool, arguments, env, limits), log)
        with open(log, 'a') as file:
            return subprocess.Popen(
                [sys.executable, tool, *arguments],
                cwd=self.chaos.data,
                env={**os.environ, **env, 'PYTHONPATH': str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=limits,
            )

    def _in_fork(self, tool, arguments, env, limits):
        os.chdir(self.chaos.data)
        os.environ.update(env)
        witness.set_clock()
        if limits:
            limits()
        LocalEngine.start = fork_run
        sys.argv = [tool, *arguments]
        runpy.run_path(tool, run_name='__main__')

    def children(self, process):
        """The processes of the runs of a command."""
        return [pid for pid in children_of(process.pid) if self.chaos.fork or 'comparison.run' in command_of(pid)]

    def wait_for_child(self, process, training=False):
        """Waits for the process of a run; returns its id, or ``None`` if the command ends before."""
        end = time.monotonic() + LIMIT
        while process.poll() is None:
            assert time.monotonic() < end, self.output()
            found = self.children(process)
            if training:
                seen = {pid for lines in self.lines().values() for pid, _ in lines}
                found = [pid for pid in found if pid in seen]
            if found:
                return found[0]
            time.sleep(0.01)
        return None

    def finish(self):
        """Starts the command until it succeeds; a run whose process was killed is repeated by the next one."""
        for _ in range(3):
            if self.start().wait() == 0:
                return
        raise AssertionError(self.output())

    def output(self):
        return self.log.read_text(errors='replace')

    def lines(self):
        """Run -> (process, iteration) of each training step, in their order."""
        return {
            path.name: [tuple(map(int, line.split())) for line in path.read_text().splitlines()]
            for path in sorted(self.witness.iterdir())
        }

    def table(self):
        """All that must not depend on faults: table, results without times, last weights."""
        with open(self.work_dir / 'comparison.csv') as file:
            rows = [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]
        lines = [line for line in (self.work_dir / 'comparison.md').read_text().splitlines() if line]
        means = [line.split('|')[:-3] if line.startswith('|') else line for line in lines]
        results, weights = {}, {}
        for path in sorted(self.work_dir.glob('*/*/result.json')):
            run = str(path.parent.relative_to(self.work_dir))
            content = json.loads(path.read_text())
            results[run] = {key: value for key, value in content.items() if key not in TIMES}
            weights[run] = torch.load(path.parent / f'epoch_{EPOCHS}.pth', weights_only=False)['state_dict']
        return dict(rows=rows, means=means, results=results), weights

    def check(self, reference):
        """Nothing lost, nothing counted twice, the same table.

        Args:
            reference: the undisturbed comparison.
        """
        (ours, weights), (theirs, their_weights) = self.table(), reference.table()
        assert ours == theirs, (ours, theirs)
        assert len(ours['rows']) == len({(row['arm'], row['seed']) for row in ours['rows']}) == self.chaos.num_runs
        for run, state in weights.items():
            assert state.keys() == their_weights[run].keys()
            assert all(torch.equal(state[key], their_weights[run][key]) for key in state), run
        for run, lines in self.lines().items():
            processes = [pid for index, (pid, _) in enumerate(lines) if index == 0 or lines[index - 1][0] != pid]
            assert len(processes) == len(set(processes)), f'{run}: two processes trained at once: {lines}'
            for (before, last), (after, first) in zip(lines, lines[1:]):
                assert first == last + 1 if before == after else first <= last + 1, f'{run}: skipped steps: {lines}'
            assert lines[-1][1] == EPOCHS * ITERATIONS - 1, f'{run} did not end: {lines}'
        leftovers = list(self.work_dir.rglob('.*.partial'))
        assert not leftovers, leftovers


class Chaos:
    """The faults, each with a comparison of its own.

    Args:
        base: folder for work dirs.
        data: folder with the data set of the config.
        kills: how many.
        seed: of the moments and the victims.
        fork: whether processes are forks of this one.
        seeds: of a comparison.
        workers: of the data loaders.
    """

    ARMS = ('static', 'slf')

    def __init__(self, base, data, kills, seed=0, fork=False, seeds=(0,), workers=0):
        self.base, self.data, self.kills, self.fork = base, data, kills, fork
        self.seeds, self.workers = seeds, workers
        self.random = random.Random(seed)
        self.num_runs = len(self.ARMS) * len(seeds)
        self.figures = collections.Counter()
        self.count = 0
        self.config = base / 'witnessed.py'
        self.config.write_text(WITNESSED)
        if fork:
            register_all_modules(init_default_scope=False)  # once for all forks
            # The layout of a config's text takes most of the time of so short a run
            mmengine.config.config.FormatCode = lambda text, **settings: (text, True)
            gc.freeze()  # mmengine collects garbage whenever it makes a data set

    def arguments(self, work_dir):
        return [
            str(self.config),
            '--balancers',
            *self.ARMS,
            '--seeds',
            *map(str, self.seeds),
            '--jobs',
            '2',
            '--work-dir',
            str(work_dir),
            '--cfg-options',
            *OPTIONS,
            f'train_dataloader.num_workers={self.workers}',
        ]

    def comparison(self, work_dir=None):
        self.count += 1
        return Comparison(self, work_dir or self.base / f'comparison_{self.count}')

    def run(self):
        """Returns name -> number, for the docs."""
        self.reference = self.comparison()
        start = time.monotonic()
        assert self.reference.start().wait() == 0, self.reference.output()
        self.duration = time.monotonic() - start
        for fault in (self.killed, self.busy_and_out_of_memory, self.clock, self.disk):
            start = time.monotonic()
            fault()
            print(f'{fault.__name__}: passed, {time.monotonic() - start:.0f} s', flush=True)
        return dict(self.figures)

    def passed(self, comparison):
        comparison.check(self.reference)
        self.figures['comparisons'] += 1
        self.figures['runs'] += self.num_runs
        self.figures['starts'] += comparison.starts

    def killed(self):
        """SIGKILL at random moments, to parents, to children and to both; the command is started again at once."""
        victims = [('parents', 'children', 'both')[index % 3] for index in range(self.kills)]
        self.random.shuffle(victims)
        comparison, process, disturbed = self.comparison(), None, False
        while victims:
            if process is None:
                process, disturbed, start = comparison.start(), False, time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.random.uniform(0, self.duration))
            if process.poll() is None and self.kill(victims[-1], comparison, process):
                self.figures[f'kills of {victims.pop()}'] += 1
                disturbed = True
            if process.poll() is not None:
                assert process.returncode == 0 or disturbed, comparison.output()
                if process.returncode == 0:
                    self.passed(comparison)
                    if comparison.starts == 1:  # the machine may be less busy than at first
                        self.duration = min(self.duration, time.monotonic() - start)
                    comparison = self.comparison()
                process = None
        if process is not None:
            process.wait(LIMIT)
        comparison.finish()
        self.passed(comparison)

    def kill(self, victim, comparison, process):
        """Returns whether there was anything to kill."""
        children = comparison.children(process)
        if victim != 'parents' and not children:
            return False
        victims = [self.random.choice(children)] if victim == 'children' else children if victim == 'both' else []
        victims += [process.pid] if victim != 'children' else []
        self.random.shuffle(victims)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victim != 'children':
            process.wait(LIMIT)
        return True

    def busy_and_out_of_memory(self):
        """A second command ends with an error that names the first, which goes on.

        Then the kernel kills a run: it is named with the reason, the other one ends, and the next command repeats it.
        """
        comparison = self.comparison()
        first = comparison.start()
        assert comparison.wait_for_child(first), comparison.output()
        log = self.base / 'second.txt'
        assert comparison.start(log=log).wait(LIMIT) != 0
        output = ' '.join(log.read_text().split())
        assert f'{comparison.work_dir} is in use by process {first.pid} on' in output, output
        self.figures['two at once'] += 1

        child = comparison.wait_for_child(first, training=True)
        assert child is not None, comparison.output()
        os.kill(child, signal.SIGKILL)
        assert first.wait(LIMIT) == 1, comparison.output()
        output = ' '.join(comparison.output().split())
        assert 'killed by signal 9 (SIGKILL), often by the kernel for lack of memory' in output, output
        finished = list(comparison.work_dir.glob('*/*/result.json'))
        assert len(finished) == self.num_runs - 1 and 'missing, failed or not finished' in output
        comparison.finish()
        self.passed(comparison)
        self.figures['lack of memory'] += 1

    def clock(self):
        """The clock is a day ahead, amid the training an hour back, and right again after a kill."""
        comparison = self.comparison()
        process = comparison.start(**{witness.OFFSET: '86400', witness.JUMP: '-3600'})
        while process.poll() is None and not list(comparison.work_dir.glob('*/*/epoch_2.pth')):
            time.sleep(0.01)
        children = comparison.children(process)
        for pid in [process.pid, *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(LIMIT)
        times = list(comparison.work_dir.rglob('*'))
        for index, path in enumerate(sorted(times, reverse=True)):  # the newest files are the oldest, in the future
            os.utime(path, (time.time() + 86400 + index,) * 2)
        process = comparison.start(**{witness.JUMP: '-3600'})
        assert process.wait(LIMIT) == 0, comparison.output()
        for result in comparison.work_dir.glob('*/*/result.json'):
            content = json.loads(result.read_text())
            assert content['seconds'] > 0 and content['seconds_per_iter'] > 0
        self.passed(comparison)
        self.figures['clock set back'] += 1

    def disk(self):
        """It is read-only, then there is room for half of a comparison, then for all of it."""
        folder = self.base / 'disk'
        size = sum(path.stat().st_size for path in self.reference.work_dir.rglob('*'))
        with mounted(folder, size // 2) as remount:
            comparison = self.comparison(folder / 'comparison')
            comparison.log, limit = self.base / 'disk.txt', None
            if remount:
                remount('ro')
            else:  # a file in the place of the folder: root may write whatever the permissions say
                comparison.work_dir.write_text('')
            assert comparison.start().wait(LIMIT) != 0
            output = ' '.join(comparison.output().split())
            assert f'{comparison.work_dir} cannot be written: ' in output and 'Use a work dir' in output, output
            assert not remount or 'Read-only file system' in output, output
            self.figures['read-only work dir' if remount else 'work dir that is a file'] += 1

            if remount:
                remount('rw')
            else:
                comparison.work_dir.unlink()  # and files must be smaller than a checkpoint
                limit = (self.reference.work_dir / 'static' / 'seed_0' / f'epoch_{EPOCHS}.pth').stat().st_size // 2
            assert comparison.start(limit=limit).wait(LIMIT) != 0
            output = ' '.join(comparison.output().split())
            assert 'could not write its files' in output or 'Make room' in output, output
            self.figures['full disk' if remount else 'limit of file sizes'] += 1

            if remount:
                remount(f'size={4 * size}')
            comparison.finish()
            self.passed(comparison)


@contextlib.contextmanager
def mounted(folder, size):
    """A file system of some bytes; yields a function that changes its options, or ``None`` where mounting is denied."""
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)]
    done = subprocess.run(mount, capture_output=True) if shutil.which('mount') else None
    if done is None or done.returncode:
        yield None
        return
    try:
        yield lambda options: subprocess.run(['mount', '-o', f'remount,{options}', str(folder)], check=True)
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)


def children_of(parent):
    found = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            state, ppid = path.read_text().rpartition(')')[2].split()[:2]
            if int(ppid) == parent and state != 'Z':
                found.append(int(path.parent.name))
    return sorted(found)


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f'/proc/{pid}/cmdline').read_text()
    return ''


def suite(base, data, kills, seed):
    """The short form; writes ``figures.json``."""
    torch.set_num_threads(1)
    with open(base / 'chaos.txt', 'w', buffering=1) as log, contextlib.redirect_stdout(log):
        try:
            figures = Chaos(base, data, kills, seed, fork=True).run()
        except BaseException:
            traceback.print_exc(file=log)
            raise
    (base / 'figures.json').write_text(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--fork', action='store_true', help='forks of this process: less time, fewer ways to fail')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        build_digits_voc(base / 'data' / 'digits_voc', num_train=64, num_test=16)
        workers = 0 if args.fork else 2
        figures = Chaos(base, base, args.kills, args.seed, args.fork, seeds=(0, 1), workers=workers).run()
    print(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()

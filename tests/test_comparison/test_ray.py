"""A comparison on a Ray cluster of two nodes, whose driver is killed, and of which one is lost."""

import csv
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from ..helpers import CONFIGS, IN_PROCESS, ROOT
from ..interpreters import run_forked

pytestmark = pytest.mark.integration

CONFIG = CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py'
LONG = (
    'train_dataloader.batch_size=4',
    'train_cfg.max_epochs=60',
    'train_cfg.val_interval=30',
    'param_scheduler.0.total_steps=60',
    'default_hooks.checkpoint.interval=3',
)
OPTIONS = (*IN_PROCESS, *LONG)
LIMIT = 400


class Nodes:
    """The cluster of ``ray_nodes.py``."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'tests.test_comparison.ray_nodes'],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = next(line.strip() for line in self.process.stdout if re.fullmatch(r'[\d.]+:\d+', line.strip()))

    def remove_second(self):
        print('remove', file=self.process.stdin, flush=True)

    def end(self):
        self.process.communicate(timeout=60)


@pytest.fixture(scope='module')
def cluster():
    """Every run takes a node. The last test takes one away."""
    nodes = Nodes()
    yield nodes
    nodes.end()


def start(cluster, cwd, work_dir, *args):
    command = (ROOT / 'tools/compare.py', CONFIG, '--work-dir', work_dir, *args, '--cfg-options', *OPTIONS)
    engine = ('--engine', 'ray', '--ray-address', cluster.address)
    return subprocess.Popen(
        [sys.executable, *map(str, (*command[:2], *engine, *command[2:]))],
        cwd=cwd,
        env={**os.environ, 'MPLBACKEND': 'Agg', 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process):
    end = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.communicate()[0][-5000:]
        assert time.monotonic() < end
        time.sleep(0.1)


def iterations(work_dir):
    """Iterations of each run that has begun to train."""
    found = {}
    for path in work_dir.glob('*/seed_*/progress'):
        text = path.read_text().split()
        found[path.parent] = int(text[0]) if text else 0  # it is being written
    return found


def test_errors(cluster):
    code = f"""
from slf_mmdet.comparison import RayEngine
for settings in (dict(address='127.0.0.1:1'), dict(address={cluster.address!r}, cpus=2), dict(jobs=0)):
    try:
        RayEngine(**settings)
    except ValueError as error:
        print(' '.join(str(error).split()))
"""
    printed = run_forked('-c', code).stdout
    assert "--engine ray found no cluster at '127.0.0.1:1': start one with `ray start --head`" in printed
    assert re.search('a run asks for 2 CPUs and 0 GPUs .* found 1 CPUs and 0 GPUs, 1 CPUs', printed)
    assert '--jobs must be >= 1, found 0' in printed


@pytest.mark.slow
def test_killed_driver_and_lost_node(cluster, digits, tmp_path):
    work_dir = tmp_path / 'compare'
    arms = ('--balancers', 'static', 'bad=static(base_weights=dict(box=1))', '--seeds', '0', '1')
    driver = start(cluster, digits, work_dir, *arms)
    # Written after the checkpoint, of which the file is there from the beginning
    wait_for(lambda: len(list(work_dir.glob('*/*/last_checkpoint'))) == 2, driver)
    assert len(iterations(work_dir)) == 2  # two nodes, four runs: the others wait
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    before = iterations(work_dir)
    driver = start(cluster, digits, work_dir, *arms)
    wait_for(lambda: all(done > before[run] for run, done in iterations(work_dir).items()), driver)
    assert not list(work_dir.glob('*/*/result.json'))
    cluster.remove_second()
    printed = driver.communicate(timeout=LIMIT)[0]
    assert driver.returncode == 1, printed
    assert 'failed: bad, seed 0: ended with exit status 1' in printed and "names ['box']" in printed
    assert (work_dir / 'comparison.csv').is_file(), printed
    with open(work_dir / 'comparison.csv') as file:
        lines = {(line['arm'], int(line['seed'])): line for line in csv.DictReader(file)}
    assert set(lines) == {('static', 0), ('static', 1)}
    logs = [path.read_text() for path in sorted(work_dir.glob('static/seed_*/log.txt'))]
    assert sorted(log.count('resumed epoch') for log in logs) == [1, 2]  # of the driver, and of the node

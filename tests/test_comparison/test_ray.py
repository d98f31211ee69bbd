"""A comparison on a Ray cluster of two nodes, whose driver is killed, and of which one is lost."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from slf_mmdet.comparison import RayEngine

from ..helpers import CONFIGS, IN_PROCESS, ROOT

pytestmark = pytest.mark.integration

ray = pytest.importorskip('ray')
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


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one CPU each; every run takes one."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv('RAY_DISABLE_MEMORY_MONITOR', '1')
    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, object_store_memory=10**8))
    cluster.add_node(num_cpus=1, object_store_memory=10**8)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


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


@pytest.mark.slow
def test_killed_driver_and_lost_node(cluster, digits, tmp_path):
    work_dir = tmp_path / 'compare'
    arms = ('--balancers', 'static', 'bad=static(base_weights=dict(box=1))', '--seeds', '0', '1')
    driver = start(cluster, digits, work_dir, *arms)
    wait_for(lambda: len({path.parent for path in work_dir.glob('*/*/epoch_*.pth')}) == 2, driver)
    assert len(iterations(work_dir)) == 2  # two nodes, four runs: the others wait
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    before = iterations(work_dir)
    driver = start(cluster, digits, work_dir, *arms)
    wait_for(lambda: all(done > before[run] for run, done in iterations(work_dir).items()), driver)
    assert not list(work_dir.glob('*/*/result.json'))
    cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
    printed = driver.communicate(timeout=LIMIT)[0]
    assert driver.returncode == 1, printed
    assert 'failed: bad, seed 0: ended with exit status 1' in printed and "names ['box']" in printed
    assert (work_dir / 'comparison.csv').is_file(), printed
    with open(work_dir / 'comparison.csv') as file:
        lines = {(line['arm'], int(line['seed'])): line for line in csv.DictReader(file)}
    assert set(lines) == {('static', 0), ('static', 1)}
    logs = [path.read_text() for path in sorted(work_dir.glob('static/seed_*/log.txt'))]
    assert sorted(log.count('resumed epoch') for log in logs) == [1, 2]  # of the driver, and of the node


def test_errors(cluster, monkeypatch):
    with pytest.raises(ValueError, match="--engine ray found no cluster at '127.0.0.1:1'"):
        RayEngine(address='127.0.0.1:1')
    ray.init(address=cluster.address, log_to_driver=False)
    with pytest.raises(ValueError, match='a run asks for 2 CPUs and 0 GPUs .* found 1 CPUs and 0 GPUs, 1 CPUs'):
        RayEngine(cpus=2)
    with pytest.raises(ValueError, match='--jobs must be >= 1, found 0'):
        RayEngine(jobs=0)

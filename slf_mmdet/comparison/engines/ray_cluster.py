"""Runs as tasks of a Ray cluster."""

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any, Dict, Optional

from ...utils.optional import needs
from ..run_process import describe_end
from .base import LOG, Engine, StartedRun

ALL_AT_ONCE = 10_000  # Ray queues what has no place
RETRIES = 10  # of a run whose node was lost; it resumes from its last checkpoint
CONNECTING = 10  # seconds
PASSED_ON = ('PYTHONPATH', 'MPLBACKEND', 'SLF_SHARED')


class RayRun(StartedRun):
    """A run in a Ray task.

    Args:
        task: reference of its result, the exit status of the run's process.
    """

    def __init__(self, task: Any) -> None:
        self.task = task

    def end(self) -> Optional[str]:
        import ray

        if not ray.wait([self.task], timeout=0)[0]:
            return None
        try:
            return describe_end(ray.get(self.task))
        except ray.exceptions.RayTaskError as error:
            return str(error.cause)
        except ray.exceptions.RayError as error:
            return f'lost by Ray: {str(error).strip() or type(error).__name__}'

    def stop(self) -> None:
        import ray

        ray.cancel(self.task, force=True)  # the run ends with the worker that started it

    def wait(self, seconds: float) -> None:
        import ray

        ray.wait([self.task], timeout=seconds)


class RayEngine(Engine):
    """Each run is a task with CPUs and GPUs of its own on a node of a Ray cluster.

    The work dir, the data and the current folder must be on a file system that all nodes share under one path, and
    ``slf_mmdet`` must be installed on them. A run whose node is lost continues on another one from its last
    checkpoint. The tasks end with the process that started them.

    Args:
        jobs: runs that are given to the cluster at a time; by default all, and Ray queues them.
        cpus: of each run; it uses as many threads.
        gpus: of each run; a fraction lets several share one.
        address: of the cluster, ``HOST:PORT``; ``None`` for that in ``RAY_ADDRESS``, or the one that runs on this
            machine.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: no cluster can be reached, or none of its nodes has as many CPUs and GPUs.
    """

    def __init__(
        self, jobs: int = ALL_AT_ONCE, cpus: float = 1, gpus: float = 0, address: Optional[str] = None
    ) -> None:
        super().__init__(jobs)
        with needs('--engine ray', 'ray', 'ray'):
            import ray
        if not ray.is_initialized():
            _connect(address)
        _check_fits(cpus, gpus)
        env = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        env['OMP_NUM_THREADS'] = str(max(1, int(cpus)))
        self._task = _task(dict(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES), os.getcwd(), env)

    def start(self, folder: Path, slot: int) -> RayRun:
        return RayRun(self._task.remote(str(folder), str(folder / LOG)))


def _connect(address: Optional[str]) -> None:
    import ray

    where = address or os.environ.get('RAY_ADDRESS') or 'auto'
    host, _, port = where.rpartition(':')
    try:
        if port.isdigit() and '/' not in host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), CONNECTING).close()
        ray.init(address=where, log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError) as error:  # Ray raises ConnectionError, an OSError
        raise ValueError(
            f'--engine ray found no cluster at {where!r}: start one with `ray start --head` here and `ray start '
            f'--address=HOST:6379` on the other machines, or name it with --ray-address. {error}'
        ) from error


def _check_fits(cpus: float, gpus: float) -> None:
    """Checks that a node has what a run asks for, which would wait for ever otherwise."""
    import ray

    nodes = [node['Resources'] for node in ray.nodes() if node['Alive']]
    if not any(node.get('CPU', 0) >= cpus and node.get('GPU', 0) >= gpus for node in nodes):
        found = ', '.join(f'{node.get("CPU", 0):g} CPUs and {node.get("GPU", 0):g} GPUs' for node in nodes)
        raise ValueError(
            f'a run asks for {cpus:g} CPUs and {gpus:g} GPUs (--cpus, --gpus), which no node of the cluster has: '
            f'found {found}.'
        )


def _task(options: Dict[str, Any], cwd: str, env: Dict[str, str]) -> Any:
    """The remote function; it carries its own code, so that a worker does not import mmdet beside its run."""
    import ray

    python = sys.executable

    def compute(folder: str, log: str) -> int:
        import os
        import subprocess
        import sys

        if not os.path.isdir(folder) or not os.path.isdir(cwd):
            raise FileNotFoundError(
                f'{folder} and {cwd} must be folders on the node {os.uname().nodename}, too: use a --work-dir, and a '
                'current folder, on a file system that all nodes share.'
            )
        program = python if os.path.isfile(python) else sys.executable
        with open(log, 'a', encoding='utf-8') as file:
            # Its standard input is a pipe from here: it ends when this worker has ended
            process = subprocess.Popen(
                [program, '-m', 'slf_mmdet.comparison.run', folder, '--with-parent'],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **env},
            )
        return process.wait()

    return ray.remote(**options)(compute)

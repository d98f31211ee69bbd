"""Processes of tests. They start from one that has imported all libraries, and import their function by name."""

import datetime
import faulthandler
import importlib
import os
import sys

import torch
import torch.distributed

from .interpreters import forkserver

LIMIT = 300  # seconds; a process that hangs ends then, and prints where each of its threads stands


def run_in(count, function, out):
    """Calls ``function(rank, out)`` in some processes with gloo; returns what each saved as ``out.RANK``."""
    out = str(out)
    forkserver()
    torch.multiprocessing.start_processes(_process, (function, out, count), nprocs=count, start_method='forkserver')
    return [torch.load(f'{out}.{rank}', weights_only=True) for rank in range(count)]


def run_in_two(function, out):
    return run_in(2, function, out)


def _process(rank, function, out, count):
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    if sys.platform == 'linux':
        os.environ['GLOO_SOCKET_IFNAME'] = 'lo'  # the name of a machine need not lead to it
    torch.set_num_threads(1)
    import slf_mmdet  # noqa: F401  makes mmdet importable

    importlib.import_module('mmdet.utils').register_all_modules()
    timeout = datetime.timedelta(seconds=LIMIT / 2)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{out}.rendezvous', rank=rank, world_size=count, timeout=timeout
    )
    function(rank, out)
    torch.distributed.destroy_process_group()

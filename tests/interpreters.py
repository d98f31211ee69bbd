"""Programs of Python in forks of one process that has imported the libraries, but nothing of OpenMMLab or of slf_mmdet.

A new interpreter needs 5 s of a core or more until all is imported, of which 90 % are libraries. What a fork imports
itself, it imports in the order of the program, so a wrong order is found as in a new interpreter.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = [
    'torch',
    'torch._dynamo',
    'torch.onnx',
    'torch.export',
    'torchvision',
    'torchvision.ops',
    'numpy',
    'cv2',
    'PIL',
    'scipy.optimize',
    'scipy.stats',
    'scipy.ndimage',
    'scipy.spatial',
    'sklearn.metrics',
    'sklearn.datasets',
    'pandas',
    'seaborn',
    'sympy',
    'matplotlib.pyplot',
    'pycocotools.coco',
    'terminaltables',
    'rich',
    'yapf.yapflib.yapf_api',
]


def forkserver():
    """The context in which processes start."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(LIBRARIES)
    return context


def run_forked(
    *args: str, cwd: Optional[Path] = None, env: Optional[dict] = None, check: bool = True, timeout: int = 450
):
    """As ``helpers.run_python``, in a fork: the interpreter's own start, and what it reads there, is not tested."""
    args = [str(arg) for arg in args]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / 'output.txt'
        process = Forked(args, output, cwd or ROOT, env or {})
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill(signal.SIGABRT)  # it prints where it stands
            time.sleep(5)
            process.kill(signal.SIGKILL)
            raise AssertionError(f'{args} did not end within {timeout} s:\n{output.read_text()[-6000:]}') from None
        stdout = output.read_text(encoding='utf-8', errors='replace')
    if check and code:
        raise AssertionError(f'{args} ended with {code}:\n{stdout[-6000:]}')
    return subprocess.CompletedProcess(args, code, stdout)


class Forked:
    """As :class:`subprocess.Popen` of ``python args``.

    Args:
        args: of Python: a file, ``-m module`` or ``-c code``, and arguments.
        output: file to which standard output and error are appended.
        cwd: where it runs.
        env: environment variables besides those of this process.
    """

    def __init__(self, args, output, cwd, env):
        context = forkserver()
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg', **env}
        stdin, own = context.Pipe(duplex=False)
        self.process = context.Process(target=_run, args=(list(args), str(output), str(cwd), env, stdin))
        main = sys.modules['__main__']
        sys.modules['__main__'] = types.ModuleType('__main__')  # which the fork would import otherwise
        try:
            self.process.start()
        finally:
            sys.modules['__main__'] = main
        stdin.close()
        self.stdin, self.pid = own, self.process.pid

    @property
    def returncode(self):
        return self.process.exitcode

    def poll(self):
        return self.process.exitcode

    def wait(self, timeout=None):
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.process.exitcode

    def kill(self, number=signal.SIGKILL):
        if self.poll() is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:  # it has no group yet, or is gone
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def terminate(self):
        if self.poll() is None:
            self.process.terminate()


def _run(args, output, cwd, env, stdin):
    os.setsid()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, source in ((0, stdin.fileno()), (1, descriptor), (2, descriptor)):
        os.dup2(source, number)
    sys.stdout, sys.stderr = (os.fdopen(number, 'w', buffering=1, closefd=False) for number in (1, 2))
    faulthandler.enable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.modules['torch'].set_num_threads(1)  # what it would read from the environment
    loaded = [name for name in sys.modules if name.partition('.')[0] in ('mmcv', 'mmdet', 'mmengine', 'slf_mmdet')]
    assert not loaded, loaded[:5]
    sys.orig_argv = [sys.executable, *args]
    options = args[0] in ('-m', '-c')
    sys.argv = [args[0], *args[2:]] if options else args
    sys.path[:0] = [
        cwd if options else str(Path(args[0]).parent),
        *filter(None, env.get('PYTHONPATH', '').split(os.pathsep)),
    ]
    if args[0] == '-m':
        runpy.run_module(args[1], run_name='__main__', alter_sys=True)
    elif args[0] == '-c':
        exec(args[1], {'__name__': '__main__'})
    else:
        runpy.run_path(args[0], run_name='__main__')

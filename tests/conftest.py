import functools
import runpy
import shutil
import subprocess
import sys

import pytest

from .helpers import ROOT, run_python
from .skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401  hooks of pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session):
    if session.config.getoption('numprocesses', None):
        return  # pytest-xdist's own process, whose workers need not wait until it has imported all
    import mmengine.config.utils
    from mmdet.utils import register_all_modules

    import slf_mmdet  # noqa: F401  registers everything, and makes mmdet importable

    register_all_modules()  # the default scope is mmdet, as in a run
    # For each config of another package mmengine reads all metafiles of that package
    mmengine.config.utils.load = functools.cache(mmengine.config.utils.load)


def pytest_collection_modifyitems(items):
    """Slow files first: if one comes last, a worker of pytest-xdist does it while the others have nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """A folder with ``data/digits_voc``: a few images of the demo's data set, laid out as the configs expect."""
    from slf_mmdet.datasets.digits_voc import build_digits_voc

    root = tmp_path_factory.mktemp('digits')
    build_digits_voc(root / 'data' / 'digits_voc', num_train=64, num_test=16)
    return root


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Runs a tool of this repository in this process, which need not import all again; as ``helpers.run_python``."""

    def run_tool(tool, *args, cwd=ROOT, check=True):
        command = [str(arg) for arg in (ROOT / 'tools' / tool, *args)]
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, 'argv', command)
        returncode = 0
        try:
            runpy.run_path(command[0], run_name='__main__')
        except SystemExit as end:  # a text is printed and means 1, as Python does
            returncode = 1 if isinstance(end.code, str) else end.code or 0
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        printed = capsys.readouterr()
        assert not (check and returncode), (returncode, printed)
        return subprocess.CompletedProcess(command, returncode, printed.out + printed.err)

    return run_tool


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    """A site-packages folder with nothing but the wheel, put before all others by Python's own start-up."""
    folder = tmp_path_factory.mktemp('site')
    source = shutil.copytree(
        ROOT,
        tmp_path_factory.mktemp('source') / 'slf',
        ignore=shutil.ignore_patterns('.*', 'data', 'work_dirs', 'build'),
    )
    run_python(
        *('-m', 'pip', 'install', '-q', '--no-deps', '--no-build-isolation', '--no-index', '--target', folder, source)
    )
    (folder / 'sitecustomize.py').write_text(
        f'import site, sys\nsite.addsitedir({str(folder)!r})\n'
        f'sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]\n'
    )
    return folder

import os
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # helpers.py

from helpers import ROOT, run_python
from mmdet.utils import register_all_modules

import slf_mmdet  # noqa: F401  registers everything, and makes mmdet importable

register_all_modules()  # the default scope is mmdet, as in a run


def pytest_terminal_summary(terminalreporter):
    reasons = skip_reasons(terminalreporter)
    if reasons:
        terminalreporter.section(f'{sum(reasons.values())} tests skipped')
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f'{count:4d}  {reason}')
    forbidden = forbidden_skips(reasons)
    if forbidden:
        terminalreporter.write_line(f'SLF_CI is set: these tests must run here: {"; ".join(forbidden)}', red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin('terminalreporter')
    if hasattr(session.config, 'workerinput') or reporter is None:  # a worker of pytest-xdist
        return
    if session.exitstatus == 0 and forbidden_skips(skip_reasons(reporter)):
        session.exitstatus = 1


def skip_reasons(reporter):
    """Reason -> number of skipped tests or modules."""
    reports = reporter.stats.get('skipped', [])
    return Counter(str(report.longrepr[-1]).removeprefix('Skipped: ') for report in reports)


def forbidden_skips(reasons):
    """Reasons for which no test may be skipped in CI, that is, all but an absent GPU or absent real data."""
    allowed = ('GPU',) if os.environ.get('SLF_SHARED') else ('GPU', 'SLF_SHARED')
    wrong = [reason for reason in reasons if not any(word in reason for word in allowed)]
    return wrong if os.environ.get('SLF_CI') else []


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

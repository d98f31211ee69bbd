"""Which tests were skipped for what, at the end of a run; in CI (``SLF_CI=1``) a skip that is not allowed fails it."""

import os
import re
from collections import Counter

import pytest

NO_GPU = re.compile(r'(there is no|needs a) GPU$')
NO_DATA = re.compile(r'is absent: set SLF_SHARED to the folder')


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
    allowed = [reason for reason in reasons if NO_GPU.search(reason)]
    if not os.environ.get('SLF_SHARED'):
        allowed += [reason for reason in reasons if NO_DATA.search(reason)]
    return [reason for reason in reasons if reason not in allowed] if os.environ.get('SLF_CI') else []

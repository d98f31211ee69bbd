"""Every command in README, docs and the READMEs of configs runs, from an installed wheel in an empty folder.

The blocks of a file are one script, run by bash with a ``slf-mmdet`` and a ``python`` that record the commands; these
then run in one process. A block that cannot run has a comment before it: ``<!-- illustration: reason -->``.
"""

import json
import re
import shutil
import subprocess
import sys

import pytest

from ..helpers import CONFIGS, DIGITS_SLF, ROOT, run_python

pytestmark = pytest.mark.integration

FILES = sorted([ROOT / 'README.md', *(ROOT / 'docs').rglob('*.md'), *(ROOT / 'configs').rglob('README.md')])
BLOCK = re.compile(
    r'(?:<!-- illustration: (?P<reason>.+?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```', re.DOTALL | re.MULTILINE
)
NO_RUN = 'no run is finished yet'  # compare has read and checked its settings, with --report-only
SHELLS = ('bash', 'sh', 'shell', 'console')
RECORD = f"""exec {sys.executable} -S -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@" >> "$RECORD"
"""
PYTHON = f"""#!/bin/bash
if [[ $1 == *.py ]]; then
    {RECORD}fi
exec {sys.executable} "$@"
"""
COMMAND = f"""#!/bin/bash
set -- slf-mmdet "$@"
{RECORD}"""


def read_script(path):
    """The commands of a file, without its illustrations, or ''."""
    blocks = [found for found in BLOCK.finditer(path.read_text(encoding='utf-8')) if found['language'] in SHELLS]
    return '\n'.join(found['text'] for found in blocks if not found['reason'])


SCRIPTS = {str(path.relative_to(ROOT)): read_script(path) for path in FILES}
# The first one links the tools and configs of the installed package
NAMES = sorted((name for name, script in SCRIPTS.items() if script), key=lambda name: name != 'docs/your_project.md')


@pytest.fixture(scope='module')
def project(site, digits, trained, tmp_path_factory):
    """A folder with the user's config, data and runs, and a python that records."""
    folder = tmp_path_factory.mktemp('project')
    (folder / 'data').symlink_to(digits / 'data')
    name = str(DIGITS_SLF.relative_to(CONFIGS))
    (folder / 'my_config.py').write_text(f"_base_ = [__import__('slf_mmdet').get_config_path({name!r})]\n")
    for run in ('slf', 'slf_s0', 'static_s0'):
        shutil.copytree(trained[0], folder / 'work_dirs' / run)
    (folder / 'bin').mkdir()
    for name, text in (('python', PYTHON), ('slf-mmdet', COMMAND)):
        (folder / 'bin' / name).write_text(text)
        (folder / 'bin' / name).chmod(0o755)
    for name in ('bash', 'ln', 'dirname', 'basename'):
        (folder / 'bin' / name).symlink_to(shutil.which(name))
    return folder


@pytest.fixture(scope='module')
def results(project, site):
    """File -> its commands, with exit code and output."""
    records = []
    for index, name in enumerate(NAMES):
        record = project / f'record{index}'
        env = dict(PATH=str(project / 'bin'), RECORD=str(record), PYTHONPATH=str(site), HOME=str(project))
        bash = ['bash', '-euc', SCRIPTS[name]]
        done = subprocess.run(bash, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f'{name}\n{done.stdout}'
        records.append(record)
    runner = ROOT / 'tests' / 'run_commands.py'
    lines = run_python(runner, *records, cwd=project, env=dict(PYTHONPATH=str(site))).stdout.splitlines()
    assert any(line.startswith(str(site)) for line in lines), 'the wheel must be used'
    done = [json.loads(line) for line in lines if line.startswith('{"record"')]
    return {name: [each for each in done if each['record'] == str(path)] for name, path in zip(NAMES, records)}


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_commands(results, name):
    assert len(results[name]) >= len(re.findall('python tools/|slf-mmdet ', SCRIPTS[name]))  # more in a loop
    for done in results[name]:
        assert done['code'] == 0 or NO_RUN in done['text'], f'{done["command"]}\n{done["text"]}'

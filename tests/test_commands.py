"""The command ``slf-mmdet``: quick help, the same work as the tools, mmdet's own arguments."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mmengine.config import Config

from slf_mmdet.__main__ import main
from slf_mmdet.commands import COMMANDS, common
from slf_mmdet.paths import find_configs, get_config_path, get_mmdet_tool
from slf_mmdet.version import __version__

from .helpers import DIGITS_SLF, ROOT, run_python
from .interpreters import run_forked

pytestmark = pytest.mark.integration

HEAVY = ('torch', 'mmengine', 'mmdet', 'mmcv', 'matplotlib', 'numpy')


def command(*args, run=run_forked, **kwargs):
    return run('-m', 'slf_mmdet', *args, **kwargs)


def test_every_module_is_a_command_and_the_other_way_round():
    modules = {path.stem for path in (ROOT / 'slf_mmdet' / 'commands').glob('*.py')} - {'__init__', 'common', 'errors'}
    assert modules == set(COMMANDS)


def test_list_of_commands():
    text = CliRunner().invoke(main, ['--help']).output
    for name, summary in COMMANDS.items():
        assert re.search(rf'^  {name} +{re.escape(summary)}', text, re.MULTILINE)
    assert __version__ in CliRunner().invoke(main, ['--version']).output


def test_help_imports_nothing_heavy():
    """So it takes a fraction of a second; what is timed here is only what is imported."""
    code = (
        'import sys; sys.orig_argv = ["python", "-m", "slf_mmdet"]\n'
        'import importlib, contextlib, slf_mmdet.__main__\n'
        f'for name in {sorted(COMMANDS)}:\n'
        '    module = importlib.import_module(f"slf_mmdet.commands.{name}")\n'
        '    with contextlib.suppress(SystemExit): module.main(["--help"], prog="slf-mmdet x")\n'
        f'print("heavy:", [name for name in {HEAVY} if name in sys.modules])'
    )
    printed = run_python('-c', code).stdout
    assert printed.count('usage: slf-mmdet x') == len(COMMANDS)
    assert printed.splitlines()[-1] == 'heavy: []'


REGISTERED = '\nslf_mmdet.register_all_modules(); print("slf_mmdet.slf" in sys.modules)'


def test_import_registers_unless_the_command_does_it_later():
    code = 'import sys, slf_mmdet; print("slf_mmdet.slf" in sys.modules)'
    assert run_forked('-c', code).stdout.splitlines()[-1] == 'True'
    code = 'import sys; sys.orig_argv = ["python", "/usr/bin/slf-mmdet", "plot"]\n' + code
    assert run_forked('-c', code).stdout.splitlines()[-1] == 'False'
    assert run_forked('-c', code + REGISTERED).stdout.splitlines()[-1] == 'True'


def test_python_3_9_has_the_script_alone():
    code = 'import sys; del sys.orig_argv; sys.argv = ["/usr/bin/slf-mmdet", "plot"]\n'
    code += 'import slf_mmdet; print("slf_mmdet.slf" in sys.modules)'
    assert run_forked('-c', code + REGISTERED).stdout.split()[-2:] == ['False', 'True']


@pytest.mark.parametrize(
    ('words', 'code', 'message'),
    [
        (
            ('digits', '--out', 'few', '--num-train', '2', '--num-test', '1'),
            0,
            'few holds 2 training and 1 test images',
        ),
        (
            ('digits_idx', '--out', 'few', '--num-train', '2', '--num-test', '1'),
            0,
            'few holds 2 training and 1 test images',
        ),
        (('convert', 'extraction', 'absent', 'out.pth'), 1, 'absent'),
        (('draw', 'absent.py', 'absent.pth'), 1, 'absent.py'),
        (('export', 'absent.py', '--out', 'out.onnx'), 1, 'absent.py'),
        (('publish', 'absent.pth', 'out.pth'), 1, 'absent.pth'),
        (('benchmark', 'absent.py'), 1, 'absent.py'),
        (('decisions', 'absent.py', 'absent.pth'), 1, 'absent.py'),
        (('compare', 'absent.py'), 1, 'absent.py'),
        (('plot', 'absent'), 1, 'absent'),
        (('configs', 'copy', 'digits/retinanet_r18-slim_fpn_1xb8-3e_digits-112px', 'mine.py'), 0, 'mine.py'),
        (('version',), 0, __version__),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else '',
)
def test_command_in_a_process_of_its_own(words, code, message, tmp_path):
    """Whatever it imports must come after what makes mmdet importable beside mmcv-lite."""
    done = command(*words, cwd=tmp_path, check=False, env=dict(PYTHONPATH=str(ROOT)))
    assert done.returncode == code and message in done.stdout, done.stdout
    assert 'No module named' not in done.stdout


def test_wrong_command_and_wrong_argument():
    assert CliRunner().invoke(main, ['trian']).exit_code == 2
    done = command('plot', '--no-such-option', check=False)
    assert done.returncode == 2 and 'usage: slf-mmdet plot' in done.stdout
    done = command('check', 'a.py', '--cfg-options', 'x', check=False)
    assert done.returncode == 2 and "must be KEY=VALUE, found 'x'" in done.stdout


def test_failure_of_a_command(tmp_path):
    done = command('report', 'absent', run=run_python, cwd=tmp_path, check=False, env=dict(PYTHONPATH=str(ROOT)))
    assert done.returncode == 1 and 'report: absent holds no log of a training' in done.stdout


@pytest.mark.slow
def test_train_and_test(digits, tmp_path):
    env = dict(PYTHONPATH=str(ROOT))
    options = ('train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False')
    options += ('val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False', 'train_cfg.max_epochs=1')
    options += ('test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False', 'train_cfg.val_interval=1')
    out = str(tmp_path / 'out')
    trained = command('train', DIGITS_SLF, '--work-dir', out, '--cfg-options', *options, cwd=digits, env=env).stdout
    checkpoint = tmp_path / 'out' / 'epoch_1.pth'
    tested = command('test', DIGITS_SLF, checkpoint, '--work-dir', out, '--cfg-options', *options, cwd=digits, env=env)
    pattern = r'pascal_voc/mAP: ([\d.]+)'
    assert re.search(pattern, tested.stdout)[1] == re.search(pattern, trained)[1]


def declared(path):
    """Names of the arguments that a file adds to a parser."""
    calls = [node for node in ast.walk(ast.parse(Path(path).read_text(encoding='utf-8'))) if isinstance(node, ast.Call)]
    adding = [call for call in calls if ast.unparse(call.func).endswith('add_argument')]
    return {arg.value for call in adding for arg in call.args if isinstance(arg, ast.Constant)}


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_arguments_are_those_of_mmdets_tool(tool):
    theirs = declared(get_mmdet_tool(f'{tool}.py'))
    ours = declared(ROOT / 'slf_mmdet' / 'commands' / f'{tool}.py')
    assert ours | {'--cfg-options'} == theirs


@pytest.mark.parametrize(
    ('texts', 'expected'),
    [
        ([], {}),
        (
            ['a=1', 'b.c=text', 'd=[1,2]', 'e="[(1,2),(3,4)]"', 'f=x=y'],
            {'a': 1, 'b.c': 'text', 'd': [1, 2], 'f': 'x=y'},
        ),
    ],
)
def test_options(texts, expected):
    found = common.options_of(texts)
    found.pop('e', None)
    assert found == expected


def test_configs(tmp_path, capsys, monkeypatch):
    from slf_mmdet.commands.configs import main as configs

    monkeypatch.chdir(tmp_path)
    assert configs(['list', 'retinanet']) == 0
    names = capsys.readouterr().out.split()
    assert names == [name for name in find_configs() if 'retinanet' in name] and len(names) > 2
    configs(['path', names[0]])
    assert capsys.readouterr().out.strip() == get_config_path(names[0])
    configs(['copy', names[0], 'mine.py'])
    assert Config.fromfile('mine.py').to_dict() == Config.fromfile(get_config_path(names[0])).to_dict()
    for args, message in (
        (['copy', names[0], 'mine.py'], 'configs: mine.py exists: name another file'),
        (['copy', names[0], 'mine.txt'], 'configs: mine.txt must end with .py'),
        (['path', 'digits/nope'], "slf_mmdet has no config 'digits/nope'; there are"),
    ):
        with pytest.raises(SystemExit) as ended:
            configs(args)
        assert message in ended.value.code


def test_version(capsys):
    from slf_mmdet.commands.version import main as version

    assert version([]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f'slf-mmdet {__version__}' and any(line.startswith('torch ') for line in printed)


def test_completion_of_a_shell():
    env = {**os.environ, '_SLF_MMDET_COMPLETE': 'bash_complete', 'COMP_WORDS': 'slf-mmdet co', 'COMP_CWORD': '1'}
    code = 'import sys; sys.argv = ["slf-mmdet"]; sys.orig_argv = ["python", "/usr/bin/slf-mmdet"]\n'
    code += 'from slf_mmdet.__main__ import main; main(prog_name="slf-mmdet")'
    done = subprocess.run([sys.executable, '-c', code], env=env, stdout=subprocess.PIPE, text=True, check=False)
    assert set(re.findall(r'plain,(\w+)', done.stdout)) == {'compare', 'configs', 'convert'}

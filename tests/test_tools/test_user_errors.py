"""Errors of the user are one paragraph without a traceback: exit code 2 for wrong arguments, 1 for a failure."""

import importlib
import json
import os
from pathlib import Path

import pytest
import torch
from mmdet.datasets import CocoDataset

from slf_mmdet.commands.errors import LOOPS, PACKAGE, user_errors

from ..helpers import DIGITS_SLF, ROOT, run_python
from ..interpreters import run_forked

pytestmark = pytest.mark.integration

CASES = [
    ('analysis_tools/report.py', ['absent'], 'absent holds no log of a training'),
    ('analysis_tools/probe.py', ['absent.py'], 'absent.py'),
    ('analysis_tools/probe.py', [str(DIGITS_SLF), 'absent.pth'], 'absent.pth'),
    ('analysis_tools/plot_weights.py', ['absent'], 'absent holds no log of a training'),
    ('analysis_tools/plot_weights.py', ['broken.pth'], 'broken.pth is not a json log'),
    ('analysis_tools/check_dataset.py', ['absent.py'], 'absent.py'),
    ('analysis_tools/check_dataset.py', ['wrong.py'], 'wrong.py: line 1: '),
    ('train.py', ['absent.py'], 'absent.py'),
    ('train.py', ['wrong.py'], 'wrong.py: line 1: '),
    ('train.py', ['unknown_base.py'], 'absent.py'),
    ('train.py', ['unknown_name.py'], "unknown_name.py: NameError: name 'nope' is not defined"),
    ('train.py', ['--work-dir', 'out', 'unknown_type.py'], 'YOLOv9 is not in the mmdet::model registry'),
    ('train.py', ['unknown_argument.py', '--work-dir', 'out'], "unexpected keyword argument 'colour'"),
    ('train.py', [str(DIGITS_SLF), '--cfg-options', 'train_dataloader.dataset.data_root=nowhere/'], 'nowhere/'),
    ('train.py', ['no_object.py'], 'holds not one object in its 1 image(s)'),
    ('test.py', ['absent.py', 'absent.pth'], 'absent.py'),
    ('test.py', [str(DIGITS_SLF), 'cut.pth', '--work-dir', 'out'], 'the checkpoint cut.pth is broken'),
    ('test.py', [str(DIGITS_SLF), 'absent.pth', '--work-dir', 'out'], 'absent.pth'),
    ('dataset_converters/digits_voc.py', ['--out', 'out', '--num-train', '-1'], 'num_train'),
    ('dataset_converters/digits_idx.py', ['--out', 'out', '--num-train', '-1'], 'num_train'),
    ('deployment/export_onnx.py', [str(DIGITS_SLF), 'absent.pth', '--out', 'out.onnx'], 'absent.pth'),
    ('model_converters/publish_model.py', ['cut.pth', 'out.pth'], 'cut.pth: cannot be read as a checkpoint'),
    ('model_converters/darknet_to_mmdet.py', ['yolov1', 'absent.weights', 'out.pth'], 'absent.weights'),
    ('compare.py', ['absent.py'], 'absent.py'),
    ('analysis_tools/benchmark.py', ['absent.py'], 'absent.py'),
    ('analysis_tools/benchmark.py', [str(DIGITS_SLF), '--checkpoint', 'absent.pth'], 'absent.pth'),
    ('analysis_tools/decision_network.py', ['absent.py', 'absent.pth'], 'absent.py'),
    ('analysis_tools/draw_detections.py', ['absent.py', 'absent.pth'], 'absent.py'),
    ('analysis_tools/draw_detections.py', [str(DIGITS_SLF), 'absent.pth'], 'absent.pth'),
]
TOOLS = sorted(
    str(path.relative_to(ROOT / 'tools'))
    for path in (ROOT / 'tools').rglob('*.py')
    if '__main__' in path.read_text(encoding='utf-8')
)
FILES = {
    'broken.pth': 'not a checkpoint\nat all',
    'wrong.py': 'model = dict(a=1 b=2)',
    'unknown_base.py': "_base_ = 'absent.py'",
    'unknown_name.py': 'model = nope',
    'unknown_type.py': f"_base_ = {str(DIGITS_SLF)!r}\nmodel = dict(_delete_=True, type='YOLOv9')",
    'unknown_argument.py': f"_base_ = {str(DIGITS_SLF)!r}\nmodel = dict(bbox_head=dict(colour='red'))",
    'no_object.py': f"""_base_ = {str(DIGITS_SLF)!r}
data = dict(_delete_=True, type='CocoDataset', ann_file='empty.json', data_prefix=dict(img=''))
train_dataloader = dict(dataset=data)
""",
    'empty.json': json.dumps(
        dict(
            images=[dict(id=1, file_name='a.png', width=9, height=9)],
            categories=[dict(id=index, name=name) for index, name in enumerate(CocoDataset.METAINFO['classes'])],
            annotations=[],
        )
    ),
}


@pytest.fixture
def here(tmp_path, digits):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    torch.save(dict(state_dict={}), tmp_path / 'cut.pth')
    data = (tmp_path / 'cut.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(data[: len(data) // 2])
    (tmp_path / 'data').symlink_to(digits / 'data')
    return tmp_path


@pytest.mark.parametrize(('tool', 'args', 'message'), CASES, ids=lambda value: value if isinstance(value, str) else '')
def test_a_failure(here, run_tool, tool, args, message):
    done = run_tool(tool, *args, cwd=here, check=False)
    assert done.returncode == 1
    (paragraph,) = [line for line in done.stdout.splitlines() if line.startswith(f'{Path(tool).stem}: ')]
    assert message in paragraph


def test_every_tool_is_tried():
    assert {tool for tool, _, _ in CASES} == set(TOOLS) - {'demo.py'}  # which passes on how its steps end


def test_streams_and_exit_code(tmp_path):
    done = run_python(ROOT / 'tools/analysis_tools/report.py', 'absent', cwd=tmp_path, check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stdout
    assert any(line.startswith('report: absent holds no log of a training') for line in done.stdout.splitlines())


@pytest.mark.slow
def test_demo_ends_as_its_step_does(tmp_path):
    (tmp_path / 'data').write_text('a file where the demo needs a folder')
    done = run_forked(ROOT / 'tools/demo.py', '--quick', cwd=tmp_path, check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stdout
    assert any(line.startswith('digits_voc: ') for line in done.stdout.splitlines())


@pytest.mark.parametrize('tool', TOOLS)
def test_wrong_arguments(run_tool, tool):
    done = run_tool(tool, '--no-such-option', check=False)
    assert done.returncode == 2 and 'usage:' in done.stdout


@pytest.mark.parametrize(
    ('command', 'args', 'message'),
    [
        ('draw', ['c.py', 'x.pth', '--num', '0'], '--num must be >= 1, found 0'),
        ('decisions', ['c.py', 'x.pth', '--num', '0'], '--num must be >= 1, found 0'),
        ('benchmark', ['c.py', '--threads', '-1'], '--threads must be >= 1, found -1'),
        ('benchmark', ['c.py', '--rounds', '0'], '--rounds must be >= 1, found 0'),
        ('benchmark', ['c.py', '--size', '0', '9'], '--size must be >= 1, found 0 9'),
        ('report', ['run', '--pictures', '-1'], '--pictures must be >= 0, found -1'),
        ('report', [__file__], 'work_dir must be the folder of a run, found the file'),
    ],
)
def test_numbers_that_are_out_of_range(command, args, message, capsys):
    module = importlib.import_module(f'slf_mmdet.commands.{command}')
    with pytest.raises(SystemExit) as end:
        module.main(args)
    assert end.value.code == 2 and message in capsys.readouterr().err


# Which errors are the user's


def raise_in(path, function, error):
    """Raises an error in a function of a file of that name."""
    code = compile(f'def {function}(error):\n    raise error\n', path, 'exec')
    names = {}
    exec(code, names)
    names[function](error)


@pytest.mark.parametrize(
    ('path', 'function', 'error', 'message'),
    [
        (os.path.join(PACKAGE, 'slf', 'signal.py'), 'measure', ValueError('no boxes'), 'tool: no boxes'),
        ('/mmengine/registry/build_functions.py', 'build_from_cfg', KeyError('X is not in'), 'tool: X is not in'),
        (
            '/mmengine/registry/build_functions.py',
            'build_from_cfg',
            TypeError('no argument'),
            'tool: TypeError: no arg',
        ),
        (
            '/torch/serialization.py',
            'load',
            EOFError('Ran out of input'),
            r'tool: None: cannot be read as a checkpoint',
        ),
        ('/mmengine/fileio/io.py', 'get', OSError('disk full'), 'tool: disk full'),
    ],
)
def test_errors_of_the_user(path, function, error, message):
    with pytest.raises(SystemExit, match=f'^{message}'), user_errors('tool'):
        raise_in(path, function, error)


@pytest.mark.parametrize(
    ('path', 'function', 'error'),
    [
        (f'/x/{LOOPS}', 'run_iter', ValueError('sizes do not match')),
        (f'/x/{LOOPS}', 'run_iter', OSError('disk full')),
        ('/torch/nn/modules/conv.py', 'forward', RuntimeError('sizes do not match')),
        ('/mmdet/models/heads.py', 'loss', KeyError('bboxes')),
        ('/mmdet/models/heads.py', 'loss', AssertionError()),
    ],
)
def test_faults_of_a_program_keep_their_traceback(path, function, error):
    with pytest.raises(type(error)), user_errors('tool'):
        raise_in(path, function, error)


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv('SLF_TRACEBACK', '1')
    with pytest.raises(ValueError, match='no boxes'), user_errors('tool'):
        raise ValueError('no boxes')

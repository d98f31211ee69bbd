"""The doctor: each issue in an installation with and without it; the report, also of a broken installation."""

import sys

import pytest

from slf_mmdet.doctor import training_step
from slf_mmdet.doctor.__main__ import main
from slf_mmdet.doctor.environment import Environment
from slf_mmdet.doctor.known_issues import KNOWN_ISSUES, diagnose
from slf_mmdet.doctor.training_step import problem

from ..helpers import ROOT, run_python
from ..interpreters import run_forked

GOOD = {
    'torch': '2.1.2',
    'torchvision': '0.16.2',
    'mmengine': '0.10.7',
    'mmcv': '2.1.0',
    'mmdet': '3.0.0',
    'numpy': '1.26.4',
    'pycocotools': '2.0.8',
    'setuptools': '80.9.0',
}


class Compiled:
    """mmcv's own extension module."""

    __file__ = '/site-packages/mmcv/_ext.cpython-311.so'


def environment(changed=None, errors=None, python=(3, 11), training=None, **variables):
    versions = {name: version for name, version in {**GOOD, **(changed or {})}.items() if version}
    return Environment(versions, (errors or {}).get, variables, python, lambda: training)


@pytest.fixture(autouse=True)
def compiled_ops(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', Compiled)


def found(env):
    return {issue.symptom: text for issue, text in diagnose(env) if text is not None}


def test_a_good_installation_has_none():
    assert found(environment()) == {}


SIZE_CHANGED = 'ValueError: numpy.dtype size changed, may indicate binary incompatibility'
# What differs from the good installation, part of the issue's symptom, part of its description
TABLE = [
    (dict(changed=dict(mmcv=None)), "No module named 'mmcv'", 'neither mmcv nor mmcv-lite'),
    (dict(changed={'mmcv-lite': '2.1.0'}), 'mmcv behaves', 'mmcv 2.1.0, mmcv-lite 2.1.0'),
    (dict(changed=dict(mmcv='2.2.0')), 'MMCV==2.2.0', 'mmcv 2.2.0, mmdet 3.0.0'),
    (dict(errors={'mmcv._ext': "ModuleNotFoundError: No module named 'mmcv._ext'"}), "'mmcv._ext'", 'mmcv._ext'),
    (dict(changed={'onedl-mmdetection': '3.5.0'}), 'mmengine, mmdet', 'mmdet 3.0.0, onedl-mmdetection 3.5.0'),
    (dict(errors={'torchvision.ops': 'RuntimeError: operator torchvision::nms does not exist'}), 'nms', 'nms'),
    (dict(changed=dict(torch='2.11.0+cu130')), 'HistoryBuffer', 'torch 2.11.0'),
    (dict(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1'), 'arbitrary code', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1'),
    (dict(changed=dict(torch='2.5.1', transformers='4.40', mmengine='0.10.4')), 'Adafactor', 'mmengine 0.10.4'),
    (dict(changed=dict(setuptools='82.0.0')), 'pkg_resources', 'setuptools 82.0.0'),
    (dict(changed=dict(setuptools=None)), 'pkg_resources', 'not installed'),
    (dict(changed=dict(openxlab='0.1.2', openmim='0.3.9')), 'mim install', 'openmim 0.3.9'),
    (dict(errors={'pycocotools._mask': SIZE_CHANGED}), 'numpy.dtype', 'numpy 1.26.4, pycocotools 2.0.8'),
    (dict(errors={'cv2': 'ImportError: libGL.so.1: cannot open shared object file'}), 'libGL', 'libGL'),
    (dict(changed=dict(mmdet='3.3.0')), 'SSDHead', 'mmdet 3.3.0'),
    (dict(python=(3, 14)), 'find_loader', 'Python 3.14'),
    (dict(training='RuntimeError: no op'), 'train one step', 'RuntimeError: no op'),
    (
        dict(errors={'mmdet.models': 'AssertionError: no'}),
        'import slf_mmdet',
        'models: AssertionError: no',
    ),
]


@pytest.mark.parametrize(('changes', 'symptom', 'said'), TABLE, ids=[row[1] for row in TABLE])
def test_each_issue_is_found_and_no_other(changes, symptom, said):
    ((shown, text),) = found(environment(**changes)).items()
    assert symptom in shown and said in text


def test_every_issue_is_in_the_table():
    assert all(any(symptom in issue.symptom for _, symptom, _ in TABLE) and issue.fix for issue in KNOWN_ISSUES)


def test_report_of_this_installation(capsys, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv('COLUMNS', '200')
    code = main()
    text = capsys.readouterr().out
    assert all(word in text for word in ("mmcv's ops", 'GPU', 'torchvision', 'mmengine', 'HistoryBuffer'))
    assert (code == 0) == ('No issue to fix' in text)
    assert problem() is None


def test_command_has_everything_imported(tmp_path):
    done = run_forked('-m', 'slf_mmdet', 'doctor', cwd=tmp_path, env=dict(PYTHONPATH=str(ROOT)), check=False)
    assert done.returncode == 0 and 'No issue to fix' in done.stdout, done.stdout


@pytest.mark.parametrize(
    ('loss', 'said'), [(1.0, None), (float('nan'), 'the loss is nan'), (float('inf'), 'the loss is inf')]
)
def test_training_step(loss, said, monkeypatch):
    monkeypatch.setattr(training_step, 'training_step', lambda: loss)
    assert problem() == said


def test_training_step_that_fails(monkeypatch):
    monkeypatch.setattr(training_step, 'training_step', lambda: 1 / 0)
    assert problem() == 'ZeroDivisionError: division by zero'


@pytest.mark.skipif(sys.version_info < (3, 10), reason='Python 3.9 does not tell which module it was started with')
def test_it_works_where_the_package_does_not(tmp_path):
    (tmp_path / 'mmdet').mkdir()
    (tmp_path / 'mmdet' / '__init__.py').write_text("raise AssertionError('MMCV==2.2.0 is used but incompatible')\n")
    env = dict(PYTHONPATH=str(tmp_path), COLUMNS='400')
    done = run_python('-W', 'ignore', '-m', 'slf_mmdet.doctor', env=env, check=False)
    assert done.returncode == 1 and '1 issue(s) to fix' in done.stdout
    assert 'import mmdet.models: AssertionError: MMCV==2.2.0 is used but incompatible' in done.stdout

"""A checkpoint that would run a program is refused on every way into the package."""

import ast
import os
import pickle
import runpy
import sys
import warnings

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.runner import load_checkpoint
from torch import nn

from slf_mmdet.hooks.safe_resume import find_fault

from ..helpers import ROOT, needs_torch

SOURCES = sorted([*(ROOT / 'slf_mmdet').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')])


class Malicious:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture(params=['zip', 'bare pickle'])
def evil(request, tmp_path):
    """A checkpoint, and the file that it would write."""
    victim = tmp_path / 'written_by_the_checkpoint'
    contents = dict(meta=dict(epoch=1), state_dict=dict(weight=Malicious(f'touch {victim}')))
    path = tmp_path / 'epoch_1.pth'
    torch.save(contents, path, _use_new_zipfile_serialization=request.param == 'zip')
    return path, victim


def load_from(path):
    load_checkpoint(nn.Linear(1, 1), str(path))


def init_cfg(path):
    pretrained = dict(type='Pretrained', checkpoint=str(path))
    MODELS.build(dict(type='YOLOV1Darknet', arch='nano', init_cfg=pretrained)).init_weights()


def torchvision_weights(path):
    MODELS.build(dict(type='TorchVisionBackbone', model='squeezenet1_1', weights=str(path))).init_weights()


def publish(path):
    before = sys.argv
    sys.argv = ['publish_model.py', str(path), str(path.with_name('out.pth'))]
    try:
        runpy.run_path(str(ROOT / 'tools' / 'model_converters' / 'publish_model.py'), run_name='__main__')
    finally:
        sys.argv = before


SAFE = needs_torch('2.6', 'mmengine, to load nothing but weights by default,')


@pytest.mark.parametrize(
    'way', [torchvision_weights, *(pytest.param(way, marks=SAFE) for way in (load_from, init_cfg, publish))]
)
def test_it_is_refused_and_does_not_run(way, evil):
    path, victim = evil
    with warnings.catch_warnings(), pytest.raises((pickle.UnpicklingError, SystemExit)) as error:
        warnings.simplefilter('ignore')
        way(path)
    assert 'posix' in str(error.value) or 'system' in str(error.value)  # the message names what was asked for
    assert not victim.exists()


def test_looking_for_faults_does_not_run_it(evil):
    path, victim = evil
    find_fault(path)
    assert not victim.exists()


def test_the_fixture_is_dangerous(evil):
    path, victim = evil
    torch.load(path, weights_only=False)
    assert victim.exists()


def calls_of_torch_load():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == 'torch.load':
                yield pytest.param(node, id=f'{path.relative_to(ROOT)}:{node.lineno}')


@pytest.mark.parametrize('call', list(calls_of_torch_load()))
def test_every_call_says_weights_only(call):
    assert {word.arg: ast.unparse(word.value) for word in call.keywords}.get('weights_only') == 'True'


def test_nothing_else_unpickles():
    for path in SOURCES:
        names = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert names.isdisjoint({'pickle.load', 'pickle.loads', 'joblib.load', 'mmengine.load', 'eval', 'exec'}), path

"""The package's rooms: who may import whom, and which words must not come back."""

import ast
import re

import pytest
from helpers import ROOT

PACKAGE = ROOT / 'slf_mmdet'
# A room may import itself and rooms before it.
ROOMS = (
    'compat',
    'utils',
    'balancers',
    'slf',
    'losses',
    'datasets',
    'evaluation',
    'models',
    'hooks',
    'analysis',
    'comparison',
    'probe',
    'doctor',
    'commands',
)
SOURCES = sorted(path for path in PACKAGE.rglob('*.py') if path.parent != PACKAGE)


def room_of(path):
    return path.relative_to(PACKAGE).parts[0]


def imported_rooms(path):
    """Rooms of the package that a file imports from, within functions as well."""
    place = ('slf_mmdet', *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            base = place[: len(place) - node.level + 1] if node.level else ()
            module = (*base, *(node.module or '').split('.')) if node.module else base
            names = [module] if len(module) > 1 else [(*module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split('.')) for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == 'slf_mmdet' and len(name) > 1)


def test_imports_are_found():
    found = set(imported_rooms(PACKAGE / 'models' / 'heads' / 'yolov1_head.py'))
    assert {'balancers', 'losses', 'models', 'utils'} <= found


@pytest.mark.parametrize('room', ROOMS)
def test_imports_run_one_way(room):
    """Models, hooks -> losses, slf -> balancers -> utils."""
    allowed = {*ROOMS[: ROOMS.index(room) + 1], 'version', 'paths'}
    for path in SOURCES:
        if room_of(path) == room:
            assert set(imported_rooms(path)) <= allowed, path


def test_every_folder_is_a_room():
    assert {room_of(path) for path in SOURCES} == set(ROOMS)


@pytest.mark.parametrize('pattern', [r'needs_', r'\bheldout\b', r'\bover_processes\b', r'\bSampledWeights\b'])
def test_what_is_gone_stays_gone(pattern):
    """Old names may stand in the table of renamed settings only."""
    for path in PACKAGE.rglob('*.py'):
        if path.name != 'renamed.py':
            assert not re.search(pattern, path.read_text(encoding='utf-8')), path

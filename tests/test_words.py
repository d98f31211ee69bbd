"""Prose is the field's standard English: docs, docstrings, comments and messages; a failure says the expected term."""

import re

import pytest

from .helpers import ROOT

FOLDERS = ('slf_mmdet', 'tools', 'docs', 'configs', 'benchmarks', 'results')
FILES = sorted(
    path
    for path in [*ROOT.glob('*.md'), *(found for name in FOLDERS for found in (ROOT / name).rglob('*'))]
    if path.suffix in ('.py', '.md', '.jinja') and 'beds' not in path.parts
)
WORDS = {
    r'price[ds]?': 'cost; of leaving a prior: KL penalty',
    r'mend(s|ed|ing)?': 'fix, correct, repair',
    r'(is|are|was|were|be|not) told': 'is reported, is raised, is named',
    r'within chance': 'not significant (the 95 % interval includes 0)',
    r'by chance alone': 'not significant',
    r'weights that you (do not )?trust': 'tuned weights, untuned weights',
    r'pulls? equally': 'equal gradient norms',
    r'soberly|honestly': 'Limitations, as a heading',
    r'sittings?': 'sessions',
    r'given up on': 'collapsed (of a weight)',
    r'\bstarved\b': 'collapsed (of a weight)',
    r'\bbelongs? into\b': 'put it in',
    r'\bnothing to gain seen\b': 'SLF would change little',
    r'feeds? itself': 'positive feedback',
    r'tilt(s|ed)?': 'logit offset',
    r'short memory': 'EMA with its momentum',
    r'all alike': 'uniform average',
}


@pytest.mark.parametrize('words', WORDS)
def test_words(words):
    pattern = re.compile(rf'\b({words})\b', re.IGNORECASE)
    found = [
        f'{path.relative_to(ROOT)}:{number}: {match[0]!r}: say {WORDS[words]}'
        for path in FILES
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1)
        for match in pattern.finditer(line)
    ]
    assert not found, '\n'.join(found)


def test_the_list_finds_what_it_should():
    assert re.search(rf'\b({next(iter(WORDS))})\b', 'at half that price') and len(FILES) > 200

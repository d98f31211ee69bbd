"""Links between the pages of the documentation lead somewhere, to the heading that they name."""

import re

import pytest

from .helpers import ROOT

FOLDERS = ('docs', 'configs', 'results', 'benchmarks')
PAGES = sorted([*ROOT.glob('*.md'), *(path for folder in FOLDERS for path in (ROOT / folder).rglob('*.md'))])
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


def without_code(text):
    return re.sub(r'```.*?```', '', text, flags=re.DOTALL)


def anchors(path):
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.+)$', without_code(path.read_text(encoding='utf-8')), re.MULTILINE)
    plain = [re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading) for heading in headings]
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in plain}


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(page):
    for target in LINK.findall(without_code(page.read_text(encoding='utf-8'))):
        if re.match(r'[a-z]+:', target):
            continue
        name, _, anchor = target.partition('#')
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor and path.suffix == '.md':
            assert anchor in anchors(path), target

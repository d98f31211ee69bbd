"""The wheel's metadata: what PyPI's page shows, and that all that is imported is declared."""

import ast
import re
import sys
from email.parser import HeaderParser
from importlib import metadata

import pytest
import setuptools

from slf_mmdet.version import __version__

from .helpers import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def wheel(site):
    (path,) = site.glob('slf_mmdet-*.dist-info/METADATA')
    return HeaderParser().parsestr(path.read_text(encoding='utf-8'))


@pytest.mark.skipif(int(setuptools.__version__.split('.')[0]) < 77, reason='licence expressions need setuptools 77')
def test_identity(wheel):
    assert (wheel['Name'], wheel['Version']) == ('slf-mmdet', __version__)
    assert wheel['License-Expression'] == 'Apache-2.0' and wheel['Keywords']
    assert f'version: {__version__}\n' in (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    assert re.search(
        rf'^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$', (ROOT / 'CHANGELOG.md').read_text(), re.M
    )


def test_page_of_pypi_has_no_link_that_leads_nowhere(wheel):
    text = wheel.get_payload()
    targets = re.findall(r'\]\(([^)]*)\)', text)
    assert targets and all(re.match('https?:', target) for target in targets)
    assert text.lstrip().startswith('# slf_mmdet') and '.jpg' not in text and 'slf-mmdet compare' in text


def test_every_dependency_has_a_lower_bound(wheel):
    """Without one, `--resolution lowest-direct` takes releases that no longer build."""
    lines = [line.split(';')[0] for line in wheel.get_all('Requires-Dist')]
    without = [line for line in lines if not re.search('>=|==', line) and not line.startswith('slf-mmdet')]
    assert len(lines) > 40 and not without


@pytest.mark.skipif(sys.version_info < (3, 10), reason='packages_distributions needs Python 3.10')
def test_what_is_imported_is_declared(wheel):
    """At the top of a module of the package; optional packages are imported where they are used."""
    declared = {re.match(r'[\w.-]+', line)[0].lower() for line in wheel.get_all('Requires-Dist') if 'extra' not in line}
    of_module = metadata.packages_distributions()
    ours = {'mmcv', 'cv2'}  # an extra, lite or full, which brings opencv-python; many have its headless twin instead
    optional = {'mmpretrain', 'timm', 'sklearn', 'onnx', 'onnxruntime'}
    for path in (ROOT / 'slf_mmdet').rglob('*.py'):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            names = []
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in {name.partition('.')[0] for name in names} - ours - {'slf_mmdet'}:
                distributions = {one.lower() for one in of_module.get(name, [])}
                if distributions and name not in optional:
                    assert distributions & declared, f'{path}: {name}'

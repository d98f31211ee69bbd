"""Sphinx: ``make docs`` builds the site from the Markdown of the whole repository, so that links work in both."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(ROOT))

import model_zoo  # noqa: E402

import slf_mmdet  # noqa: E402

project = 'slf_mmdet'
author = copyright = 'slf_mmdet contributors'
version = release = slf_mmdet.__version__

extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx.ext.mathjax',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
root_doc = 'docs/index'
include_patterns = [
    'docs/**',
    'configs/**.md',
    'results/README.md',
    'benchmarks/README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
]
html_theme = 'furo'
html_title = f'slf_mmdet {version}'
html_theme_options = dict(source_view_link='')

myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
nb_execution_mode = 'off'  # a test runs the notebook
copybutton_exclude = '.linenos, .gp'

autosummary_generate = True
autodoc_typehints = 'none'  # the signature has them
autodoc_member_order = 'bysource'
autodoc_default_options = dict(members=True)
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True


def write_model_zoo(app, config):
    """Writes the page that is not kept in the repository; autosummary writes its own."""
    folder = ROOT / 'docs' / 'generated'
    folder.mkdir(exist_ok=True)
    (folder / 'model_zoo.md').write_text(model_zoo.page(), encoding='utf-8')


def setup(app):
    app.connect('config-inited', write_model_zoo)

"""The documentation: it builds without a warning, names everything that is public, and its notebook runs."""

import importlib
import os
import re

import nbformat
import pytest
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config
from nbclient import NotebookClient

from .helpers import ROOT, run_python
from .interpreters import run_forked

pytestmark = pytest.mark.integration

DOCS = ROOT / 'docs'
LISTED = (
    *('balancers', 'slf', 'losses', 'datasets', 'hooks', 'evaluation'),
    *(
        'models.detectors',
        'models.heads',
        'models.backbones',
        'models.clusterers',
        'models.graphs',
        'models.translation',
    ),
)


@pytest.mark.slow
def test_tutorial(tmp_path, monkeypatch):
    monkeypatch.setenv('SLF_TUTORIAL_SHORT', '1')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]))
    notebook = nbformat.read(DOCS / 'tutorial.ipynb', as_version=4)
    NotebookClient(notebook, timeout=600, resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    printed = ''.join(
        output.get('text', '') for cell in notebook.cells for output in cell.get('outputs', []) if 'text' in output
    )
    assert re.search(r'mAP after epoch \d+: \d+\.\d', printed)
    assert printed.count('average precision lost:') == 4
    pictures = [
        output for cell in notebook.cells for output in cell.get('outputs', []) if 'image/png' in output.get('data', {})
    ]
    assert len(pictures) == 2


def test_stored_outputs_name_no_folder_of_a_machine():
    text = (DOCS / 'tutorial.ipynb').read_text(encoding='utf-8')
    assert 'image/png' in text, 'run the notebook and store its outputs'
    assert not re.search(r'/(root|home|work|tmp|Users)/', text)


@pytest.mark.parametrize('name', LISTED)
def test_reference_names_all_that_is_public(name):
    pages = ''.join((DOCS / page).read_text(encoding='utf-8') for page in ('api.rst', 'balancer_pages.md'))
    module = importlib.import_module(f'slf_mmdet.{name}')
    internal = {'checked_balancer'}
    missing = [one for one in module.__all__ if f'slf_mmdet.{name}.{one}\n' not in pages and one not in internal]
    assert missing == []


def test_semi_supervised_config_builds(tmp_path):
    page = (DOCS / 'semi_supervised.md').read_text(encoding='utf-8')
    (block,) = [text for text in re.findall(r'```python\n(.*?)```', page, re.DOTALL) if 'SoftTeacher' in text]
    (tmp_path / 'config.py').write_text(block)
    cfg = Config.fromfile(tmp_path / 'config.py').model
    for part in (cfg, cfg.detector):  # without the weights that mmdet would load
        part.pop('init_cfg', None)
    cfg.detector.backbone.pop('init_cfg')
    model = MODELS.build(cfg)
    assert model.loss_balancer.parts == ('supervised', 'unsupervised')
    assert type(model.student).__name__ == type(model.teacher).__name__ == 'FasterRCNN'
    assert not any(key.startswith('loss_balancer') for key in model.student.state_dict())


@pytest.mark.slow
def test_site_has_no_warning(tmp_path):
    run_python('-m', 'sphinx', '-q', '-W', '--keep-going', '-c', DOCS, '-b', 'html', ROOT, tmp_path / 'site')
    index = (tmp_path / 'site' / 'docs' / 'index.html').read_text(encoding='utf-8')
    assert 'Model zoo' in index and 'API reference' in index
    balancer = (tmp_path / 'site' / 'docs' / 'generated' / 'slf_mmdet.slf.SLFBalancer.html').read_text(encoding='utf-8')
    assert 'kl_weight' in balancer and 'prior_share' in balancer


def test_model_zoo_has_every_config_and_every_result():
    run = 'import sys; sys.path.insert(0, "docs"); import model_zoo; print(model_zoo.page())'
    page = run_forked('-c', run).stdout
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    models = [model for name in index['Import'] for model in yaml.safe_load((ROOT / name).read_text())['Models']]
    assert len(models) > 30
    for model in models:
        (line,) = [line for line in page.splitlines() if f'| [{model["Name"]}](' in line]
        for result in model.get('Results', []):
            assert all(f'{value:g}' in line for value in result['Metrics'].values())

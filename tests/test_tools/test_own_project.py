"""A user's project elsewhere on disk, with slf_mmdet installed from its wheel and mmdet's own tools."""

import re

import pytest
from mmengine.config import Config

from slf_mmdet.paths import get_config_path, get_mmdet_tool

from ..helpers import IN_PROCESS, SHORT, run_python
from ..interpreters import run_forked

pytestmark = pytest.mark.integration

NAME = 'slf/slf_yolov1_nano_1xb16-12e_digits-112px.py'
OWN = """
train_cfg = dict(max_epochs=1)
model = dict(bbox_head=dict(loss_balancer=dict(_delete_=True, type='StaticBalancer')))
"""


@pytest.fixture
def project(digits, tmp_path):
    (tmp_path / 'data').symlink_to(digits / 'data')
    return tmp_path


def test_the_wheel_carries_configs_tools_and_index(site):
    mim = site / 'slf_mmdet' / '.mim'
    assert (mim / 'configs' / NAME).is_file() and (mim / 'tools' / 'train.py').is_file()
    assert (mim / 'model-index.yml').is_file() and (site / 'slf_mmdet_compat.pth').is_file()


def inherit(site, project, way):
    """A config of the user's, which inherits one of the wheel by an expression or by its path."""
    path = site / 'slf_mmdet' / '.mim' / 'configs' / NAME
    base = {'expression': f"[__import__('slf_mmdet').get_config_path({NAME!r})]", 'path': repr(str(path))}[way]
    (project / 'mine.py').write_text(f'_base_ = {base}\n{OWN}')
    return project / 'mine.py'


@pytest.mark.slow
def test_inherit_swap_the_balancer_train_and_test_with_mmdets_own_tools(site, project):
    inherit(site, project, 'expression')
    env = dict(PYTHONPATH=str(site))

    def tool(name, *args):
        return run_python(
            get_mmdet_tool(name), *args, '--work-dir', 'out', '--cfg-options', *SHORT, *IN_PROCESS, cwd=project, env=env
        )

    code = 'from importlib.util import find_spec; print(find_spec("slf_mmdet").origin)'
    assert str(site) in run_python('-c', code, cwd=project, env=env).stdout
    trained = tool('train.py', 'mine.py').stdout
    weights = dict(re.findall(r'balance_(\w+): ([\d.]+)', trained))
    assert weights == dict(coord='5.0000', cls='1.0000', obj='1.0000', noobj='0.5000')
    tested = tool('test.py', 'mine.py', 'out/epoch_1.pth').stdout
    pattern = r'pascal_voc/mAP: ([\d.]+)'
    assert re.search(pattern, tested)[1] == re.search(pattern, trained)[1]


def test_inherit_by_path(site, project):
    by_expression, by_path = (Config.fromfile(inherit(site, project, way)).to_dict() for way in ('expression', 'path'))
    assert by_path == by_expression and by_path['train_cfg']['max_epochs'] == 1


def test_read_base_cannot_inherit_old_style_configs(site, project):
    # Documented: mmengine does not mix the two styles. If this fails, the documentation can promise more.
    (project / 'new.py').write_text(
        'from mmengine.config import read_base\nwith read_base():\n    from .base import *\n'
    )
    (project / 'base.py').write_text(f'_base_ = {str(get_config_path(NAME))!r}\n')
    done = run_forked(
        '-c', 'from mmengine.config import Config; print(Config.fromfile("new.py").model)', cwd=project, check=False
    )
    assert done.returncode != 0, done.stdout


def test_config_path():
    assert get_config_path(NAME) == get_config_path(NAME[:-3])
    with pytest.raises(FileNotFoundError, match=r"no config 'slf/nope'; there are \['slf_paper_yolov1_d24"):
        get_config_path('slf/nope')
    families = r"the folders are \['balanced', 'classification/cifar10', .*, 'digits', .*'slf', .*'yolov1'\]"
    with pytest.raises(FileNotFoundError, match=families):
        get_config_path('nowhere/nope')

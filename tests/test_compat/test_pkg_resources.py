"""``mmdet::`` bases without setuptools."""

from ..interpreters import run_forked


def test_mmdet_bases_without_pkg_resources(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text("_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'\n")
    script = f"""
import sys
real = [finder for finder in sys.meta_path]
class NoSetuptools:  # hides pkg_resources, and nothing else that a finder knows
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] != 'pkg_resources':
            return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [NoSetuptools(finder) for finder in real]
sys.modules.pop('pkg_resources', None)
import slf_mmdet
from mmengine.config import Config
from mmengine.utils import get_installed_path, is_installed
import pkg_resources
assert 'stand_in' in pkg_resources.__file__, pkg_resources.__file__
assert Config.fromfile({str(config)!r}).model.type == 'RetinaNet'
assert get_installed_path('mmdet').endswith('mmdet') and is_installed('mmdet') and not is_installed('no_such_package')
dist = pkg_resources.get_distribution('mmdet')
assert dist.version and dist.has_metadata('METADATA') and not dist.has_metadata('nothing')
"""
    run_forked('-c', script)

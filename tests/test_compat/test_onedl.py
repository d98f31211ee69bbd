"""OneDL's forks of mmengine and mmdet instead of OpenMMLab's: training and resuming."""

import os
import re
import subprocess
import sys

import pytest

from ..helpers import DIGITS_SLF, IN_PROCESS, ROOT, SHORT, run_python

pytestmark = pytest.mark.integration

# Into a folder of their own, without what they share with this installation
PACKAGES = (
    'onedl-mmengine==0.10.12',
    'onedl-mmdetection==3.5.1',
    'imaug',
    'imageio',
    'scikit-image',
    'lazy-loader',
    'tifffile',
    'networkx',
)


@pytest.fixture(scope='module')
def onedl(tmp_path_factory):
    folder = tmp_path_factory.mktemp('onedl')
    command = ('pip', 'install', '-q', '--no-deps', '--no-build-isolation', '--target', str(folder), *PACKAGES)
    done = subprocess.run([sys.executable, '-m', *command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'the OneDL forks cannot be downloaded: {done.stderr[-500:]}')
    return dict(PYTHONPATH=os.pathsep.join([str(folder), str(ROOT)]))


@pytest.mark.slow
def test_training_and_resuming(onedl, digits, tmp_path):
    where = run_python('-c', 'import mmengine, mmdet; print(mmengine.__file__, mmdet.__version__)', env=onedl).stdout
    assert 'onedl' in where and '3.5.1' in where
    outputs = [
        run_python(
            *('-m', 'slf_mmdet', 'train', DIGITS_SLF, '--work-dir', tmp_path, '--resume'),
            *(
                '--cfg-options',
                *IN_PROCESS,
                *SHORT,
                f'train_cfg.max_epochs={epochs}',
                'train_dataloader.dataset.indices=32',
            ),
            cwd=digits,
            env=onedl,
        ).stdout
        for epochs in (1, 2)
    ]
    assert re.search(r'Epoch\(train\) \[1\].* balance_cls: ', outputs[0])
    assert 'resumed epoch: 1' in outputs[1] and 'Epoch(train) [1]' not in outputs[1]
    assert re.search(r'Epoch\(val\) \[2\].*pascal_voc/mAP: \d', outputs[1])

"""Packaging in the OpenMMLab way: the wheel also carries configs, tools and the model index, under ``.mim``."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PACKAGE = 'slf_mmdet'


class BuildWithMim(build_py):
    """Adds the ``.mim`` folder and the start-up file that lets mmdet's own tools run without compiled ops."""

    def run(self) -> None:
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        target = Path(self.build_lib)
        mim = target / PACKAGE / '.mim'
        ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
        for folder in ('configs', 'tools'):
            shutil.copytree(ROOT / folder, mim / folder, ignore=ignore, dirs_exist_ok=True)
        shutil.copy(ROOT / 'model-index.yml', mim)
        shutil.copy(ROOT / PACKAGE / 'compat' / 'slf_mmdet_compat.pth', target)


def readme_for_pypi() -> str:
    """The README without what only works in the repository: pictures and links to its files."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    text = re.sub(r'!\[[^\]]*\]\((?!https?:)[^)]*\)\n\n(\*[^*]*\*\n\n)?', '', text)  # with its caption
    return re.sub(r'\[([^\]]*)\]\((?!https?:)[^)]*\)', r'\1', text)


version = re.search(r"__version__ = '(.+)'", (ROOT / PACKAGE / 'version.py').read_text(encoding='utf-8'))

setup(
    name='slf-mmdet',
    version=version.group(1),
    description='Learned loss weights for MMDetection: the Stochastic Loss Function (AAAI 2020) and YOLOv1',
    long_description=readme_for_pypi(),
    long_description_content_type='text/markdown',
    author='slf_mmdet contributors',
    keywords=['object detection', 'loss weighting', 'multi-task learning', 'mmdetection', 'yolo'],
    license_expression='Apache-2.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed', 'compat/*.pth', 'analysis/*.jinja']},
    python_requires='>=3.9',
    install_requires=[
        'torch>=2.1',
        'torchvision>=0.16',
        'mmengine>=0.10.4,<2',
        'mmdet>=3.3,<4',
        'numpy>=1.22',
        'scipy>=1.10',
        'matplotlib>=3.7',
        'pillow>=9.2',
        'pycocotools>=2.0.6',
        'click>=8.0',
        'rich>=12.6',
        'jinja2>=3.1',
        'markupsafe>=2.1.1',
        'filelock>=3.15.4',
        'setuptools>=65,<82',  # mmengine 0.10 reads package metadata through pkg_resources
    ],
    extras_require={
        # The default that needs no compiler; leave it out where full mmcv is installed.
        'lite': ['mmcv-lite>=2.0.0,<2.2.0'],
        'full': ['mmcv>=2.0.0,<2.2.0'],
        'demo': ['scikit-learn>=1.1'],
        'cls': [
            'mmpretrain>=1.2,<2',
            'timm>=1.0,<2',
            'importlib-metadata>=5',
            'einops>=0.6',
            'mat4py>=0.5',
            'modelindex>=0.0.2',
        ],
        'gan': ['torchmetrics>=1.4', 'tensorboard>=2.12'],  # with the extra cls, whose MNIST and LeNet it uses
        'graphs': ['rdkit>=2023.9'],
        'text': ['tokenizers>=0.15', 'sacrebleu>=2.3'],
        'cluster': ['slf-mmdet[cls]', 'scikit-learn>=1.1'],
        'onnx': ['onnx>=1.15', 'onnxscript>=0.1', 'onnxruntime>=1.16'],
        'search': ['optuna>=3.6'],
        'ray': ['ray>=2.9'],
        'docs': [
            'sphinx>=7',
            'furo>=2024.8.6',
            'myst-nb>=1.0',
            'sphinx-copybutton>=0.5',
            'nbclient>=0.8',
            'ipykernel>=6.20',
            'pyyaml>=6.0.1',
        ],
        'dev': [
            'scikit-learn>=1.1',
            'pytest>=8.3',
            'pytest-cov>=4.1',
            'pytest-timeout>=2.2',
            'pytest-xdist>=3.8',
            'hypothesis>=6.90',
            'tensorboard>=2.12',
            'seaborn>=0.12.2',  # mmdet's analyze_logs.py imports it
            'playwright>=1.40',  # opens the report of a run; without a browser its test is skipped
            'monai>=1.3',  # reference of the segmentation losses' tests; 1.6 for the boundary loss
            "torchjd==0.18.*; python_version >= '3.10'",  # reference of the balancers' tests
            'torch-geometric>=2.5',  # reference of the graph layers' tests
            'ruff>=0.6',
            'mypy>=1.10',
            'build>=1.0',
            'optuna>=3.6',
            'ray>=2.9',
        ],
    },
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: OS Independent',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.11',  # those on which the tests have run
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    entry_points={'console_scripts': ['slf-mmdet = slf_mmdet.__main__:main']},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)

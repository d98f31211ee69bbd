"""The clustering configs: data sets times losses; short runs on files in the formats of their data sets."""

import functools
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from slf_mmdet.comparison.arms import parse_options

from ..helpers import CONFIGS, ROOT
from ..mnist_files import write_mnist

pytest.importorskip('mmpretrain', reason="clustering needs mmpretrain: pip install 'slf-mmdet[cluster]'")
load_digits = pytest.importorskip(
    'sklearn.datasets', reason="clustering needs scikit-learn: pip install 'slf-mmdet[cluster]'"
).load_digits

FOLDER = CONFIGS / 'clustering'
PATHS = sorted(FOLDER.glob('*.py'))
MIXTURES = {'slf': 'StochasticLoss', 'slf-paper': 'PaperStochasticLoss', 'slf-paper-softmax': 'PaperStochasticLoss'}
ALL, TWO = {'ce', *MIXTURES}, {'ce', 'slf'}
COLUMNS = {'mnist70k': TWO, 'mnist10k': ALL, 'mnist10k-imbalanced': TWO, 'cifar10-folder': ALL}
STAGES = dict(
    mnist70k=((64, 64, 64), (128, 128, 128)),
    mnist10k=((16, 16, 16), (32, 32, 32)),
    **{'mnist10k-imbalanced': ((16, 16, 16), (32, 32, 32)), 'cifar10-folder': ((64, 64), (128, 128))},
)
# Without worker processes, on a small network and little data
SMALL_RUN = [
    *(f'{split}_dataloader.{key}' for split in ('train', 'val', 'test') for key in ('num_workers=0', 'batch_size=32')),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val', 'test')),
    *('model.network.stages=((4,),(8,))', 'randomness.seed=0', 'default_hooks.logger.interval=1'),
    *('env_cfg.cudnn_benchmark=False', 'model.step=0.2'),
]


@functools.cache
def read(path):
    network, loss, schedule, data = re.fullmatch(r'(.+)_(.+)_(.+)_(.+)-\d+px', path.stem).groups()
    cfg = Config.fromfile(path)
    return SimpleNamespace(cfg=cfg, network=network, loss=loss, schedule=schedule, data=data)


def of(data, loss):
    """The path of a config."""
    (path,) = (path for path in PATHS if re.search(rf'_{loss}_.*_{data}-\d+px$', path.stem))
    return path


def digits(count):
    """Handwritten digits, 28 x 28 pixels, and their classes."""
    found = load_digits()
    images = np.kron(found.images[:count] * 15.9, np.ones((3, 3))).astype(np.uint8)
    return np.pad(images, ((0, 0), (2, 2), (2, 2))), found.target[:count]


@pytest.fixture
def data(tmp_path):
    """A folder with ``data/mnist`` and ``data/cifar10_folder``: a few images, laid out as the configs expect."""
    images, labels = digits(160)
    write_mnist(tmp_path / 'data' / 'mnist', 'train', images[:128], labels[:128])
    write_mnist(tmp_path / 'data' / 'mnist', 't10k', images[128:], labels[128:])
    for index, (image, label) in enumerate(zip(images[:64], labels)):
        path = tmp_path / 'data' / 'cifar10_folder' / 'train' / f'class {label}' / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.pad(image, 2)).convert('RGB').save(path)
    return tmp_path


@pytest.fixture(autouse=True)
def scope_of_a_run():
    """A run leaves its default scope behind; this ends with the test."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def train(data, run_tool, tmp_path):
    """Trains a config with ``tools/train.py``; returns the work dir."""

    def train(config, *args, folder='run', options=(), **kwargs):
        name = f'visualizer.name={tmp_path.name}_{folder}{len(args)}'  # each run of a process has its own
        options = ('--cfg-options', *SMALL_RUN, 'train_cfg.max_epochs=1', name, *options)
        return run_tool('train.py', config, '--work-dir', tmp_path / folder, *args, *options, cwd=data, **kwargs)

    return train


def scalars(work_dir):
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]


def test_every_data_set_comes_with_its_losses():
    found = {data: {read(path).loss for path in PATHS if read(path).data == data} for data in COLUMNS}
    assert found == COLUMNS and len(PATHS) == sum(map(len, COLUMNS.values()))


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_is_what_its_name_says(path):
    config = read(path)
    cfg = config.cfg
    gpus, batch, epochs = map(int, re.fullmatch(r'(\d)xb(\d+)-(\d+)e', config.schedule).groups())
    assert cfg.train_dataloader.batch_size == batch and cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_epochs == epochs
    assert tuple(map(tuple, cfg.model.network.stages)) == STAGES[config.data]
    assert (config.network == 'dac-slim') == (config.data in ('mnist10k', 'mnist10k-imbalanced'))
    model = MODELS.build(cfg.model)
    assert type(model.loss_module).__name__ == MIXTURES.get(config.loss, 'CrossEntropyLoss')
    if config.loss in MIXTURES:
        sampler = 'Softmax' if config.loss == 'slf-paper-softmax' else 'MultipleGumbelSoftmax'
        assert type(model.loss_module.sampler).__name__ == sampler
        assert model.loss_module.names[0] == 'ClassMSELoss' and len(model.loss_module.names) == 5
    lower, upper = model.thresholds_at(epochs - 1)
    assert upper - lower == pytest.approx(0, abs=0.01) and upper > lower  # the thresholds meet at the end
    assert dict(type='mmdet.SetEpochInfoHook') in cfg.custom_hooks


@pytest.mark.parametrize('path', [path for path in PATHS if '_ce_' not in path.stem], ids=lambda path: path.stem)
def test_differs_from_that_of_the_authors_in_the_loss_alone(path):
    ours = read(path).cfg.to_dict()
    theirs = read(path.with_name(path.name.replace(f'_{read(path).loss}_', '_ce_'))).cfg.to_dict()
    ours.pop('loss')  # the fragment
    assert ours['model'].pop('loss') != theirs['model'].pop('loss')
    assert ours == theirs
    assert len(path.read_text(encoding='utf-8').splitlines()) == 2


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_trains_and_evaluates(path, train, tmp_path):
    train(path)
    *steps, scores = scalars(tmp_path / 'run')
    assert steps and all(np.isfinite(line['loss']) and 0 < line['pairs_different'] <= 1 for line in steps)
    assert ('balance_ClassMSELoss' in steps[0]) == (read(path).loss in MIXTURES)
    assert 0.1 <= scores['clustering/ACC'] <= 1 and {'clustering/NMI', 'clustering/ARI'} < set(scores)


@pytest.mark.parametrize('name', COLUMNS)
def test_evaluates_on_the_images_that_are_clustered(name, data, monkeypatch):
    from mmpretrain.registry import DATASETS

    monkeypatch.chdir(data)
    cfg = read(of(name, 'ce')).cfg
    assert cfg.test_dataloader == cfg.val_dataloader
    train, val = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    labels = [[int(dataset.get_data_info(i)['gt_label']) for i in range(len(dataset))] for dataset in (train, val)]
    assert labels[0] == labels[1]
    sizes = {'mnist70k': 160, 'mnist10k': 128, 'cifar10-folder': 64}
    assert len(train) == sizes[name] if name in sizes else 40 < len(train) < 100  # 55 % of 128


def test_resumed_run_equals_uninterrupted_and_is_tested_alike(data, train, run_tool, tmp_path):
    config, two = of('mnist10k', 'slf'), ['train_cfg.max_epochs=2']
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    train(config, folder='straight', options=two)
    train(config, folder='resumed')
    train(config, '--resume', folder='resumed', options=two)
    states = [torch.load(folder / 'epoch_2.pth', weights_only=False)['state_dict'] for folder in (straight, resumed)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())

    args = (config, straight / 'epoch_2.pth', '--work-dir', tmp_path / 'test', '--cfg-options', *SMALL_RUN)
    done = run_tool('test.py', *args, cwd=data)
    (found,) = re.findall(r'clustering/ACC: ([\d.]+)', done.stdout)
    assert float(found) == pytest.approx(scalars(straight)[-1]['clustering/ACC'], abs=1e-4)
    run_tool('analysis_tools/report.py', straight)
    report = (straight / 'report.html').read_text(encoding='utf-8')
    assert 'clustering/ACC' in report and 'ClassMSELoss' in report


def test_learns_to_group_digits(data, train, tmp_path):
    """A third of them at least; a random grouping has some 15 %."""
    write_mnist(data / 'data' / 'mnist', 'train', *digits(600))
    train(of('mnist10k', 'ce'), options=['train_cfg.max_epochs=6', 'train_cfg.val_interval=6'])
    assert scalars(tmp_path / 'run')[-1]['clustering/ACC'] > 0.33


@pytest.mark.parametrize('candidate', ['ClassMSELoss', 'ClassMAELoss', 'CosineProximityLoss'])
def test_a_candidate_alone_is_an_arm_of_a_comparison(candidate):
    cfg = parse_options(f'one: model.loss.type={candidate}').apply(read(of('mnist10k', 'ce')).cfg)
    assert type(MODELS.build(cfg.model).loss_module).__name__ == candidate


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (np.zeros((0, 28, 28), np.uint8), 'MNIST: there are no images in data/mnist'),
        (np.full((64, 28, 28), 7, np.uint8), 'the 32 images of a batch have the same label feature'),
    ],
    ids=['no images', 'all the same'],
)
def test_bad_data(images, message, data, train):
    write_mnist(data / 'data' / 'mnist', 'train', images, np.arange(len(images)) % 10)
    done = train(of('mnist10k', 'ce'), check=False)
    assert done.returncode == 1 and message in ' '.join(done.stdout.split())


def test_the_index_and_the_readme_name_every_config():
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text(encoding='utf-8'))
    assert sorted(ROOT / model['Config'] for model in meta['Models']) == PATHS
    readme = (FOLDER / 'README.md').read_text(encoding='utf-8')
    assert {FOLDER / link for link in re.findall(r'\]\(([^)/]+\.py)\)', readme)} == set(PATHS)
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    assert 'configs/clustering/metafile.yml' in index['Import']

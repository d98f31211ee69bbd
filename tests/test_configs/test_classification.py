"""The classification configs: networks times losses, each loss a fragment away from cross-entropy."""

import functools
import re
from types import SimpleNamespace

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..helpers import CONFIGS, ROOT

pytest.importorskip('mmpretrain', reason="classification needs mmpretrain: pip install 'slf-mmdet[cls]'")

FOLDER = CONFIGS / 'classification'
PATHS = sorted(FOLDER.glob('*/*.py'))
LOSSES = dict(
    ce='CrossEntropyLoss',
    smooth='SmoothZeroOneLoss',
    **{
        'lm-softmax': 'CrossEntropyLoss',
        'adaptive-robust': 'AdaptiveRobustLoss',
        'slf': 'StochasticLoss',
        'slf-paper': 'PaperStochasticLoss',
        'slf-paper-softmax': 'PaperStochasticLoss',
    },
)
SAMPLERS = {'slf': 'MultipleGumbelSoftmax', 'slf-paper': 'MultipleGumbelSoftmax', 'slf-paper-softmax': 'Softmax'}
FOR_CIFAR = ('resnet8', 'resnet20', 'resnet32', 'wrn-28-10', 'densenet-bc-100-12')
NETWORKS = dict(mnist=('mlp', 'lenet'), cifar10=FOR_CIFAR, cifar100=FOR_CIFAR)
CLASSES = dict({'mnist-imbalanced': 10}, mnist=10, cifar10=10, cifar100=100, imagenet=1000)
# Options that leave a network its kinds of layers, but not its size
SMALL = {
    'wrn-28-10': {'backbone.depth': 10, 'backbone.widen_factor': 1, 'head.in_channels': 64},
    'densenet-bc-100-12': {'backbone.arch.depths': [2, 2, 2], 'head.in_channels': 48},
}


@functools.cache
def load(path):
    cfg = Config.fromfile(path)
    network, loss, schedule, _ = path.stem.split('_')
    return SimpleNamespace(cfg=cfg, data=path.parent.name, network=network, loss=loss, schedule=schedule)


def build(config, options=()):
    from mmpretrain.registry import MODELS

    cfg = Config({'model': config.cfg.model.to_dict()})
    cfg.merge_from_dict({f'model.{key}': value for key, value in dict(options).items()})
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(cfg.model, data_preprocessor=config.cfg.data_preprocessor))


@pytest.mark.parametrize('data', NETWORKS)
def test_every_network_comes_with_every_loss(data):
    found = {tuple(path.stem.split('_')[:2]) for path in PATHS if path.parent.name == data}
    assert found == {(network, loss) for network in NETWORKS[data] for loss in LOSSES}


def test_every_fragment_is_used_and_says_what_it_is():
    fragments = {path.name: path for path in (CONFIGS / '_base_' / 'losses').glob('*.py')}
    texts = [path.read_text(encoding='utf-8') for path in PATHS]
    assert {name for text in texts for name in re.findall(r'_base_/losses/(\w+\.py)', text)} == set(fragments)
    assert all(path.read_text(encoding='utf-8').startswith('# ') for path in fragments.values())


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_is_what_its_name_says(path):
    config = load(path)
    cfg = config.cfg
    gpus, batch, epochs = map(int, re.fullmatch(r'(\d)xb(\d+)-(\d+)e', config.schedule).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_epochs == epochs
    dataset = cfg.train_dataloader.dataset
    assert dataset.get('dataset', dataset).data_root == f'data/{config.data.removesuffix("-imbalanced")}'
    assert dataset.get('min_retention', 1) == (0.1 if 'imbalanced' in config.data else 1)
    assert path.stem.endswith(f'_{config.data}-{224 if config.data == "imagenet" else 32}px')
    assert cfg.val_dataloader == cfg.test_dataloader

    with torch.device('meta'):
        model = build(config)
    assert cfg.data_preprocessor.num_classes == model.head.num_classes == CLASSES[config.data]
    if 'num_classes' in cfg.default_hooks:  # mmdet's NumClassCheckHook
        assert all(
            getattr(module, 'num_classes', CLASSES[config.data]) == CLASSES[config.data] for module in model.modules()
        )
    assert type(model.head.loss_module).__name__ == LOSSES[config.loss]
    assert (type(model.head.classifier).__name__ == 'LargeMarginLinear') == (config.loss == 'lm-softmax')
    if config.loss in SAMPLERS:
        assert type(model.head.loss_module.sampler).__name__ == SAMPLERS[config.loss]
        if config.loss.startswith('slf-paper'):
            assert model.head.loss_module.over_elements == 'sum'


@pytest.mark.parametrize('path', [path for path in PATHS if '_ce_' not in path.stem], ids=lambda path: path.stem)
def test_differs_from_cross_entropy_in_a_fragment_alone(path):
    config = load(path)
    key = 'classifier' if config.loss == 'lm-softmax' else 'loss'
    ours = config.cfg.to_dict()
    theirs = load(path.with_name(path.name.replace(f'_{config.loss}_', '_ce_'))).cfg.to_dict()
    assert ours['model']['head'].pop(key) == ours.pop(key)
    assert ours == theirs
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 3


@pytest.mark.parametrize(
    'path', [path for path in PATHS if path.parent.name in ('mnist', 'cifar10')], ids=lambda path: path.stem
)
def test_trains_a_step_and_predicts(path):
    config = load(path)
    torch.manual_seed(0)
    model = build(config, SMALL.get(config.network, ()))
    model.init_weights()
    data = batch(channels=1 if config.data == 'mnist' else 3, labels=(0, 3, 9, 3))
    data = model.data_preprocessor(data, training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(0 <= sample.pred_label < 10 for sample in model.eval()(**data, mode='predict'))


@pytest.mark.parametrize('loss', LOSSES)
def test_learns_to_tell_ten_patterns_apart(loss):
    from mmpretrain.structures import DataSample

    torch.manual_seed(0)
    head = build(load(FOLDER / 'mnist' / f'mlp_{loss}_1xb128-20e_mnist-32px.py')).head
    optimizer = torch.optim.SGD(head.parameters(), lr=0.05, momentum=0.9)
    labels = torch.arange(100) % 10
    vectors = torch.randn(10, 32 * 32)[labels] + torch.randn(100, 32 * 32)
    samples = [DataSample().set_gt_label(label) for label in labels]
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(vectors, samples)['loss'].backward()
        optimizer.step()
    assert (head(vectors).argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize('loss', LOSSES)
def test_trains_a_step_on_a_hundred_classes(loss):
    model = build(load(FOLDER / 'cifar100' / f'resnet8_{loss}_1xb128-200e_cifar100-32px.py'))
    data = model.data_preprocessor(batch(channels=3, labels=(0, 42, 99)), training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(total)
    assert all(sample.pred_score.shape == (100,) for sample in model.eval()(**data, mode='predict'))


@pytest.mark.parametrize('data', NETWORKS)
def test_annealing_of_the_margin_takes_a_third_of_the_schedule(data):
    config = load(next(path for path in PATHS if path.parent.name == data and '_lm-softmax_' in path.stem))
    images = 60000 if data == 'mnist' else 50000
    steps = config.cfg.train_cfg.max_epochs * images / config.cfg.train_dataloader.batch_size
    with torch.device('meta'):
        annealing = build(config).head.classifier.annealing
    assert annealing.at(0) == 1000
    assert annealing.at(int(0.3 * steps)) > 1 > annealing.at(int(0.4 * steps))


def test_schedules_of_cifar():
    sgd = dict(type='SGD', lr=0.1, momentum=0.9, _scope_='mmpretrain')
    steps = dict(type='MultiStepLR', by_epoch=True, _scope_='mmpretrain')
    resnet = load(FOLDER / 'cifar10' / 'resnet20_slf_1xb128-200e_cifar10-32px.py').cfg
    assert resnet.optim_wrapper.optimizer == dict(sgd, weight_decay=1e-4)
    pipeline = [step.type for step in resnet.train_dataloader.dataset.pipeline]
    assert pipeline == ['RandomCrop', 'RandomFlip', 'PackInputs']
    assert resnet.param_scheduler == dict(steps, milestones=[100, 150], gamma=0.1)
    wrn = load(FOLDER / 'cifar100' / 'wrn-28-10_slf_1xb128-200e_cifar100-32px.py').cfg
    assert wrn.optim_wrapper.optimizer == dict(sgd, weight_decay=5e-4, nesterov=True)
    assert wrn.param_scheduler == dict(steps, milestones=[60, 120, 160], gamma=0.2)


def test_the_index_and_the_readme_name_every_config():
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text(encoding='utf-8'))
    assert sorted(ROOT / model['Config'] for model in meta['Models']) == PATHS
    assert all(model['Name'] == (ROOT / model['Config']).stem for model in meta['Models'])
    readme = (FOLDER / 'README.md').read_text(encoding='utf-8')
    linked = {FOLDER / link for link in re.findall(r'\]\(([^)]+\.py)\)', readme)}
    assert linked == set(PATHS)
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    assert 'configs/classification/metafile.yml' in index['Import']


def batch(channels, labels):
    from mmpretrain.structures import DataSample

    images = torch.randint(256, (len(labels), channels, 32, 32), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=[DataSample().set_gt_label(label) for label in labels])

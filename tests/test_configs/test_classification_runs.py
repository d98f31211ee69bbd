"""Short runs of the classification configs on files in the formats of MNIST, CIFAR and ImageNet."""

import json
import pickle
import re

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

from ..helpers import CONFIGS
from ..mnist_files import write_mnist

datasets = pytest.importorskip(
    'mmpretrain.datasets', reason="classification needs mmpretrain: pip install 'slf-mmdet[cls]'"
)

# Of batches smaller than the configs', so with a smaller learning rate
TWENTY_STEPS = {
    'train_dataloader.batch_size': 16,
    'train_cfg.max_epochs': 4,
    'train_cfg.val_interval': 4,
    'optim_wrapper.optimizer.lr': 0.02,
}
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [180, 180, 60]])
DETECTORS = dict(
    extraction='yolov1_d24_8xb8-135e_voc0712-448px.py',
    fast='yolov1_d9_8xb8-135e_voc0712-448px.py',
)


def images(count, side, rng):
    """Noise ``(N, side, side, 3)`` around the colour of one of four classes, and the classes ``(N,)``."""
    labels = np.arange(count) % len(COLOURS)
    noise = rng.normal(scale=40, size=(count, side, side, 3))
    return (COLOURS[labels][:, None, None] + noise).clip(0, 255).astype(np.uint8), labels


def train(config, work_dir, data_root, **options):
    """Trains in this process; returns what each line of ``scalars.json`` holds."""
    cfg = Config.fromfile(CONFIGS / 'classification' / config)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        cfg[f'{split}_dataloader'].dataset.data_root = str(data_root)
    name = f'{work_dir.parent.name}_{work_dir.name}'
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': name,
            'visualizer.name': name,
            'env_cfg.cudnn_benchmark': False,
            'default_hooks.logger.interval': 1,
            'randomness.seed': 0,
            **options,
        }
    )
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        Runner.from_cfg(cfg).train()
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Writes a small data set as the pickled batches of CIFAR-10 or CIFAR-100, in place of the official ones."""

    def write(kind):
        root, rng = tmp_path / 'data', np.random.default_rng(0)
        (root / kind.base_folder).mkdir(parents=True)
        for files, total in ((kind.train_list, 80), (kind.test_list, 32)):
            for name, _ in files:
                count = total // len(files)
                pixels, labels = images(count, 32, rng)
                batch = {
                    'data': pixels.transpose(0, 3, 1, 2).reshape(count, -1),
                    'fine_labels' if kind is datasets.CIFAR100 else 'labels': labels.tolist(),
                }
                (root / kind.base_folder / name).write_bytes(pickle.dumps(batch))
        # The checksums are those of the official files. None: not checked
        monkeypatch.setattr(kind, 'train_list', [(name, None) for name, _ in kind.train_list])
        monkeypatch.setattr(kind, 'test_list', [(name, None) for name, _ in kind.test_list])
        return root

    return write


@pytest.fixture
def mnist(tmp_path):
    """Writes a small data set as the idx files of MNIST."""
    root, rng = tmp_path / 'data', np.random.default_rng(0)
    for split, count in (('train', 80), ('t10k', 32)):
        pixels, labels = images(count, 28, rng)
        write_mnist(root, split, pixels.min(-1), labels)
    return root


@pytest.mark.parametrize(
    ('kind', 'config'),
    [
        (datasets.CIFAR10, 'cifar10/resnet8_slf_1xb128-200e_cifar10-32px.py'),
        (datasets.CIFAR100, 'cifar100/resnet8_lm-softmax_1xb128-200e_cifar100-32px.py'),
    ],
    ids=['CIFAR-10', 'CIFAR-100'],
)
def test_learns_from_files_of_cifar(kind, config, cifar, tmp_path):
    lines = train(config, tmp_path / 'run', cifar(kind), **TWENTY_STEPS)
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 20
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert lines[-1]['accuracy/top1'] > 2 * 100 / len(COLOURS)
    assert any('balance_ClassMSELoss' in line for line in lines) == ('slf' in config)


def test_runs_on_files_of_mnist(mnist, tmp_path):
    lines = train('mnist/lenet_slf-paper_1xb128-20e_mnist-32px.py', tmp_path / 'run', mnist, **TWENTY_STEPS)
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 20
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize(
    ('config', 'share'),
    [
        ('mnist/lenet_ce_1xb128-20e_mnist-32px.py', 1),
        ('mnist-imbalanced/mlp_ce_1xb128-20e_mnist-imbalanced-32px.py', 0.25),  # of classes 0 to 3: 0.1 to 0.4
    ],
    ids=['all', 'imbalanced'],
)
def test_mnist_is_evaluated_on_the_images_that_it_is_not_trained_on(config, share, mnist):
    from mmpretrain.registry import DATASETS

    cfg = Config.fromfile(CONFIGS / 'classification' / config)
    sizes = {}
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.get('dataset', dataset).data_root = str(mnist)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            sizes[split] = len(DATASETS.build(dataset))
    assert sizes['val'] == sizes['test'] == 32
    assert sizes['train'] == pytest.approx(80 * share, abs=0 if share == 1 else 12)  # three sigma


@pytest.fixture
def imagenet(tmp_path):
    """A folder of images for each class, as ImageNet's."""
    for split in ('train', 'val'):
        for index, (pixels, label) in enumerate(zip(*images(8, 80, np.random.default_rng(0)))):
            path = tmp_path / 'imagenet' / split / f'n{label:08}' / f'{index}.JPEG'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / 'imagenet'


@pytest.mark.parametrize('arch', DETECTORS)
def test_the_backbone_of_a_detector_starts_from_the_classifier(arch, imagenet, tmp_path, monkeypatch):
    classes = [f'class {index}' for index in range(len(COLOURS))]
    train(
        f'imagenet/darknet-{arch}_ce_8xb32-100e_imagenet-224px.py',
        tmp_path / 'run',
        imagenet,
        **{f'{split}_dataloader.dataset.metainfo': dict(classes=classes) for split in ('train', 'val', 'test')},
        **{'model.head.num_classes': len(classes), 'data_preprocessor.num_classes': len(classes)},
        **{'train_dataloader.batch_size': 4, 'train_cfg.max_epochs': 1, 'val_evaluator.topk': (1,)},
        **{'train_dataloader.dataset.pipeline.1.scale': 64, 'default_hooks.checkpoint.save_optimizer': False},
    )
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    trained = torch.load(checkpoint)['state_dict']
    pretrained = {key: value for key, value in trained.items() if key.startswith('backbone.')}
    assert len(pretrained) == 6 * {'extraction': 20, 'fast': 9}[arch]  # a weight and five tensors of batch norm each
    assert all(value == 2 for key, value in pretrained.items() if key.endswith('num_batches_tracked'))

    reports = []
    monkeypatch.setattr('mmengine.runner.checkpoint.print_log', lambda text, *_, **__: reports.append(text))
    init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint), prefix='backbone.')
    detector = MODELS.build(small_detector(arch, init_cfg))
    detector.init_weights()
    state = detector.state_dict()
    assert all(torch.equal(state[key], value) for key, value in pretrained.items())
    rest = sorted(key for key in detector.backbone.state_dict() if f'backbone.{key}' not in pretrained)
    assert {int(key.split('.')[1]) for key in rest} == ({20, 21, 22, 23} if arch == 'extraction' else set())
    missing = [key for text in reports for key in re.findall(r'layers[.\w]+', text)]
    assert missing == [key for key in detector.backbone.state_dict() if key in rest and 'num_batches' not in key]
    assert not any('unexpected' in text for text in reports)


@pytest.mark.parametrize('arch', DETECTORS)
def test_detector_and_classifier_feed_the_backbone_alike(arch):
    from mmpretrain.registry import MODELS as CLASSIFIERS

    cfg = Config.fromfile(CONFIGS / 'classification/imagenet' / f'darknet-{arch}_ce_8xb32-100e_imagenet-224px.py')
    of_classifier = CLASSIFIERS.build(dict(cfg.data_preprocessor, type='mmpretrain.ClsDataPreprocessor'))
    of_detector = MODELS.build(small_detector(arch)['data_preprocessor'])
    image = torch.from_numpy(images(1, 64, np.random.default_rng(0))[0][0]).permute(2, 0, 1)
    expected = of_detector.cast_data(dict(inputs=[image], data_samples=[DetDataSample()]))
    torch.testing.assert_close(
        of_classifier(dict(inputs=[image]))['inputs'], of_detector(expected, training=False)['inputs']
    )


def small_detector(arch, init_cfg=None):
    """The detector with the backbone of its config, and few units in its fully connected layer."""
    model = Config.fromfile(CONFIGS / 'yolov1' / DETECTORS[arch]).model
    model.bbox_head.hidden_channels = (8,)
    model.backbone.init_cfg = init_cfg
    return model

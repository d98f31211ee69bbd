"""The Fréchet distance: its formula, the features it is taken on, and its errors."""

import sys

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from scipy.linalg import sqrtm

pytest.importorskip('torchmetrics', reason="GANs need torchmetrics: pip install 'slf-mmdet[gan]'")
pytest.importorskip('mmpretrain', reason="classification needs mmpretrain: pip install 'slf-mmdet[cls]'")

from slf_mmdet.evaluation import FrechetDistance

LENET = dict(backbone=dict(type='mmpretrain.LeNet5'), mean=[33.32], std=[78.57], size=32)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from mmpretrain.models import LeNet5

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('lenet') / 'epoch_1.pth'
    state = {f'backbone.{key}': value for key, value in LeNet5().state_dict().items()}
    torch.save(dict(state_dict=dict(state, **{'head.weight': torch.zeros(1)}), meta={}), path)
    return str(path)


@pytest.fixture
def metric(checkpoint):
    return FrechetDistance(checkpoint=checkpoint, **LENET)


def images(count, seed, brightness=256):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(brightness, (count, 1, 28, 28), dtype=torch.uint8, generator=generator)


def run(metric, real, fake, size=16):
    for first in range(0, len(real), size):
        part = slice(first, first + size)
        metric.process(dict(inputs=list(real[part])), [dict(fake_img=image) for image in fake[part]])
    return metric.evaluate(len(real))


def literal(real, fake):
    (mean, cov), (other_mean, other_cov) = ((rows.mean(0), np.cov(rows, rowvar=False)) for rows in (real, fake))
    return ((mean - other_mean) ** 2).sum() + np.trace(cov + other_cov - 2 * sqrtm(cov @ other_cov).real)


def test_formula_on_the_features(metric):
    real, fake = images(200, 0), images(200, 1, brightness=200)
    expected = literal(*(metric.features(x).double().numpy() for x in (real, fake)))
    assert run(metric, real, fake) == {'gan/frechet_distance': pytest.approx(expected, rel=1e-3)}
    assert expected > 0.1


@pytest.mark.parametrize('count', [2, 50])
def test_of_shifted_rows_is_the_squared_shift(metric, count):
    """Equal covariances: only the means differ, by (3, 4)."""
    rows = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    pairs = [(row, row + torch.tensor([3.0, 4.0])) for row in rows]
    assert metric.compute_metrics(pairs)['frechet_distance'] == pytest.approx(25, abs=1e-4)


def test_of_equal_images_is_zero(metric):
    same = images(40, 0)
    assert run(metric, same, same.flip(0))['gan/frechet_distance'] == pytest.approx(0, abs=1e-4)


def test_features_are_those_of_the_classifier(metric, checkpoint):
    """As mmpretrain's pipeline and preprocessor feed the LeNet, but for the rounding of the enlarged images."""
    from mmpretrain.datasets.transforms import PackInputs
    from mmpretrain.registry import MODELS, TRANSFORMS

    smooth = torch.nn.functional.interpolate(images(3, 0).float(), 7).byte()
    smooth = torch.nn.functional.interpolate(smooth.float(), 28, mode='bilinear').byte()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        resize = TRANSFORMS.build(dict(type='Resize', scale=32))
        preprocessor = MODELS.build(dict(type='ClsDataPreprocessor', mean=[33.32], std=[78.57]))
    packed = [PackInputs()(resize(dict(img=image[0].numpy())))['inputs'] for image in smooth]
    expected = metric.backbone(preprocessor(dict(inputs=packed))['inputs'])[-1].flatten(1)
    torch.testing.assert_close(metric.features(smooth), expected, atol=0.01, rtol=0)
    assert expected.shape == (3, 120)


def test_wrong_backbone(checkpoint):
    with pytest.raises(RuntimeError, match='Error.* in loading state_dict'):
        FrechetDistance(**dict(LENET, backbone=dict(type='mmpretrain.VGG', depth=11)), checkpoint=checkpoint)


def test_no_checkpoint():
    message = r'FrechetDistance: the checkpoint absent.pth is not there.*slf-mmdet train configs/.*lenet_ce'
    with pytest.raises(FileNotFoundError, match=message):
        FrechetDistance(checkpoint='absent.pth', **LENET)


@pytest.mark.parametrize('count', [0, 1])
def test_too_few_images(metric, count):
    with pytest.raises(ValueError, match=f'FrechetDistance: the number of images must be >= 2, found {count}'):
        run(metric, images(count, 0), images(count, 1))


def test_without_torchmetrics(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchmetrics', None)
    with pytest.raises(ModuleNotFoundError, match=r"needs torchmetrics: pip install 'slf-mmdet\[gan\]'"):
        FrechetDistance(checkpoint=checkpoint, **LENET)

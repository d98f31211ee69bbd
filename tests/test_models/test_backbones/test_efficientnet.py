"""EfficientNetBackbone against timm's own network."""

import copy

import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.models.backbones import EfficientNetBackbone

timm = pytest.importorskip('timm', reason="needs timm: pip install 'slf-mmdet[cls]'")
LITE0 = 'tf_efficientnet_lite0'


@pytest.fixture(scope='module')
def images():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Weights in half precision, of a network whose batch normalisations have seen data."""
    torch.manual_seed(0)
    network = timm.create_model(LITE0, features_only=True)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    path = tmp_path_factory.mktemp('weights') / 'lite0.pth'
    torch.save(
        {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}, path
    )
    return path


def built(weights, **kwargs):
    backbone = MODELS.build(dict(type='EfficientNetBackbone', weights=str(weights), **kwargs))
    backbone.init_weights()
    return backbone


def test_maps_are_those_of_timm(weights, images):
    network = timm.create_model(LITE0, features_only=True, out_indices=(2, 3, 4)).eval()
    network.load_state_dict({key: value.float() for key, value in torch.load(weights).items()})
    backbone = built(weights, out_stages=(2, 4, 6)).eval()
    for ours, theirs in zip(backbone(images), network(images)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert backbone.out_channels == (40, 112, 320)
    assert list(backbone.state_dict()) == [key for key in network.state_dict() if not key.startswith('blocks.7')]


def test_frozen_stages_are_not_trained(weights, images):
    backbone = built(weights, out_stages=(4, 6), frozen_stages=6).train()
    before = copy.deepcopy(backbone.state_dict())
    sum(each.square().mean() for each in backbone(images)).backward()
    trained = {name for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert trained and all(name.startswith('blocks.6.') for name in trained)
    changed = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(key.startswith('blocks.6.') for key in changed)  # running means


def test_norm_eval(weights, images):
    backbone = built(weights, frozen_stages=0, norm_eval=True).train()
    before = copy.deepcopy(backbone.state_dict())
    backbone(images)
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize('out_stages', [(4, 6), (2, 4), (6,)])
@pytest.mark.parametrize('frozen_stages', [1, 5, 6, 7])
def test_kept_maps_are_the_computed_ones(weights, images, tmp_path, out_stages, frozen_stages):
    kwargs = dict(out_stages=out_stages, frozen_stages=frozen_stages, norm_eval=True)
    plain = built(weights, **kwargs)
    cached = built(weights, cache_dir=str(tmp_path), **kwargs)
    expected = plain(images)
    for batch in (images[:2], images, images.flip(0).flip(0)):  # computed; one computed and two read; read
        for ours, theirs in zip(cached(batch), expected):
            torch.testing.assert_close(ours, theirs[: len(batch)], rtol=1e-4, atol=1e-5)
    assert len(list(tmp_path.glob('*/*.pth'))) == 3
    cached.conv_stem.forward = None  # nothing frozen is computed again
    assert len(cached(images)) == len(out_stages)


def test_kept_maps_do_not_depend_on_the_run_that_wrote_them(weights, images, tmp_path):
    settings = dict(out_stages=(4, 6), frozen_stages=6)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        built(weights, cache_dir=str(tmp_path / 'amp'), **settings)(images)
    built(weights, cache_dir=str(tmp_path / 'nchw'), channels_last=False, **settings)(images)
    read = built(weights, cache_dir=str(tmp_path / 'amp'), **settings)
    torch.testing.assert_close(read(images)[0], built(weights, **settings)(images)[0], rtol=1e-4, atol=1e-5)
    for path in tmp_path.glob('*/*/*.pth'):
        maps = torch.load(path, weights_only=True)
        assert all(each.dtype == torch.float32 for each in maps)
        # Of one image, not of the batch that it came in
        assert path.stat().st_size < 4 * sum(each.numel() for each in maps) + 4000


def test_every_version_of_an_image_has_maps_of_its_own(weights, images, tmp_path):
    cached = built(weights, out_stages=(4, 6), frozen_stages=6, cache_dir=str(tmp_path)).eval()
    flipped = images.flip(3)
    for batch in (images, flipped, images, flipped):
        torch.testing.assert_close(cached(batch)[0], cached._run_frozen(batch)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(model='resnet50'), "'resnet50' is no EfficientNet"),
        (dict(model='tf_efficientnet_lite9'), "such as .*tf_efficientnet_lite0.*found 'tf_efficientnet_lite9'"),
        (dict(out_stages=(6, 4)), r'out_stages must be ascending indices of the 7 stages, found \(6, 4\)'),
        (dict(out_stages=(7,)), 'out_stages must be'),
        (dict(frozen_stages=8), 'frozen_stages must be an integer from 0 to 7, found 8'),
        (dict(cache_dir='x'), 'frozen_stages must be > 0 where cache_dir is given, found 0'),
        (dict(weights='x', init_cfg=dict(type='Kaiming')), 'init_cfg must be None where weights are given'),
    ],
)
def test_wrong_settings(changed, message):
    with pytest.raises(ValueError, match=message):
        EfficientNetBackbone(**changed)


def test_wrong_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights='absent.pth' does not exist"):
        EfficientNetBackbone(weights='absent.pth').init_weights()
    torch.save(dict(a=torch.zeros(1)), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other.pth lacks \d+ entries'):
        EfficientNetBackbone(weights=str(tmp_path / 'other.pth')).init_weights()

"""Super-resolution: what is reduced, compared and predicted."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample

SETTINGS = dict(
    type='SuperResolver',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True),
    network=dict(type='ResidualUpsampler', channels=8, num_blocks=2),
    losses=dict(pixel=dict(type='L1Loss')),
)


def build(**settings):
    torch.manual_seed(0)
    return MODELS.build({**copy.deepcopy(SETTINGS), **settings})


def batch(*sizes):
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes or ((24, 32),)
    ]
    return dict(inputs=inputs, data_samples=[DetDataSample(metainfo=dict(img_shape=x.shape[1:])) for x in inputs])


def run(model, mode, data):
    return model(**model.data_preprocessor(copy.deepcopy(data), mode == 'loss'), mode=mode)


@pytest.mark.parametrize('scale', [2, 3])
def test_starts_as_bicubic_interpolation(scale):
    low = torch.rand(2, 3, 9, 10)
    model = build(scale=scale).eval()
    expected = F.interpolate(low, scale_factor=scale, mode='bicubic', align_corners=False)
    torch.testing.assert_close(model(low, mode='tensor'), expected)


def test_the_loss_compares_with_the_image_itself():
    model, data = build(), batch()
    true = data['inputs'][0].flip(0)[None] / 255  # BGR to RGB
    low = F.interpolate(true, size=(12, 16), mode='bicubic', antialias=True)
    bicubic = F.interpolate(low, scale_factor=2, mode='bicubic')
    torch.testing.assert_close(run(model, 'loss', data)['loss_pixel'], (bicubic - true).abs().mean())


def test_predicts_without_padding_and_odd_rows():
    model = build().eval()
    with torch.no_grad():
        found = run(model, 'predict', batch((24, 32), (21, 27)))
    for key in ('restored', 'true', 'bicubic'):
        assert [tuple(sample.get(key).shape) for sample in found] == [(3, 24, 32), (3, 20, 26)]
    torch.testing.assert_close(found[1].restored, found[1].bicubic)
    assert found[1].restored.min() >= 0 and found[1].restored.max() <= 1


def test_learns_beyond_interpolation():
    """Stripes of two pixels, of which bicubic interpolation makes waves."""
    stripes = torch.zeros(3, 24, 32, dtype=torch.uint8)
    stripes[:, :, 0::4] = stripes[:, :, 1::4] = 255
    data = dict(inputs=[stripes], data_samples=[DetDataSample(metainfo=dict(img_shape=(24, 32)))])
    model = build()
    optimizer, losses = torch.optim.Adam(model.parameters(), 0.01), []
    for _ in range(40):
        loss = run(model, 'loss', data)['loss_pixel']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_parts_are_balanced():
    losses = dict(pixel=dict(type='L1Loss'), tv=dict(type='TotalVariationLoss'))
    balancer = dict(type='StaticBalancer', parts=['loss_pixel', 'loss_tv'], base_weights=dict(tv=0.25))
    plain = run(build(losses=losses), 'loss', batch())
    weighted = run(
        build(type='BalancedDetector', detector_type='SuperResolver', losses=losses, loss_balancer=balancer),
        'loss',
        batch(),
    )
    torch.testing.assert_close(weighted['loss_tv'], 0.25 * plain['loss_tv'])


def test_weights_of_its_losses_are_initialised(tmp_path):
    network = dict(type='TorchVisionBackbone', model='squeezenet1_1', weights=str(tmp_path / 'net.pth'))
    losses = dict(perceptual=dict(type='PerceptualLoss', network=network, layers={'features.1': 1.0}))
    with pytest.raises(FileNotFoundError, match='net.pth'):
        build(losses=losses).init_weights()


def test_settings():
    with pytest.raises(ValueError, match='SuperResolver: scale must be an integer >= 2, found 1'):
        build(scale=1)
    with pytest.raises(ValueError, match='losses must be a dict of at least one loss'):
        build(losses={})
    with pytest.raises(ValueError, match='ResidualUpsampler: channels must be an integer >= 1, found 0'):
        MODELS.build(dict(type='ResidualUpsampler', channels=0))

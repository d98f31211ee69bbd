"""U-Net: sizes, what an output sees, settings."""

import pytest
import torch
from mmdet.registry import MODELS


@pytest.mark.parametrize('size', [(32, 48), (31, 21), (9, 8)])
def test_the_output_has_the_size_of_the_image(size):
    (out,) = MODELS.build(dict(type='UNet', base_channels=4, num_stages=4))(torch.zeros(2, 3, *size))
    assert out.shape == (2, 4, *size)


def test_widths():
    net = MODELS.build(dict(type='UNet', base_channels=4, num_stages=3))
    shapes = {name: tuple(p.shape[:2]) for name, p in net.named_parameters() if name.endswith('0.conv.weight')}
    assert shapes == {
        'encoder.0.0.conv.weight': (4, 3),
        'encoder.1.0.conv.weight': (8, 4),
        'encoder.2.0.conv.weight': (16, 8),
        'decoder.0.0.conv.weight': (8, 16 + 8),
        'decoder.1.0.conv.weight': (4, 8 + 4),
    }


def rows_seen(stages):
    """By the output in the middle of a column of 41 pixels."""
    net = MODELS.build(dict(type='UNet', base_channels=4, num_stages=stages)).eval()
    image = torch.randn(1, 3, 41, 41, requires_grad=True)
    net(image)[0][0, :, 20, 20].sum().backward()
    return image.grad.abs().sum((0, 1, 3)).nonzero().flatten().tolist()


def test_how_far_an_output_sees():
    assert rows_seen(1) == [18, 19, 20, 21, 22]  # two 3x3 convolutions
    assert len(rows_seen(2)) > 4 * 5  # these in the encoder, at half of the resolution, and in the decoder
    assert len(rows_seen(3)) == 41


def test_settings():
    with pytest.raises(ValueError, match='UNet: num_stages must be an integer >= 1, found 0'):
        MODELS.build(dict(type='UNet', num_stages=0))

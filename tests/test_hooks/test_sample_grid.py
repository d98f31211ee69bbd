"""The grid of generated images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.hooks import SampleGridHook


class Pictures:
    def __init__(self):
        self.added = []

    def add_image(self, name, image, step):
        self.added.append((name, image, step))


@pytest.fixture
def gan():
    torch.manual_seed(0)
    preprocessor = dict(type='ImgDataPreprocessor', mean=[127.5], std=[127.5])
    networks = dict(generator=dict(type='DCGANGenerator'), discriminator=dict(type='DCGANDiscriminator'))
    return MODELS.build(dict(type='GAN', data_preprocessor=preprocessor, loss=dict(type='WGANLoss'), **networks)).eval()


def test_grid_shows_the_images_of_seeded_noise(gan):
    pictures = Pictures()
    runner = SimpleNamespace(model=gan, visualizer=pictures, iter=70)
    hook = SampleGridHook(rows=2, columns=3)
    hook.after_val_epoch(runner)
    hook.after_test_epoch(runner)
    (name, grid, step), (_, again, _) = pictures.added
    assert (name, step, grid.dtype) == ('samples', 70, np.uint8)
    assert grid.shape == (2 * 29 + 1, 3 * 29 + 1, 3)
    assert np.array_equal(grid, again)
    with torch.no_grad():
        images = gan.pixels(gan.generator(gan.seeded_noise(range(6))))
    assert np.array_equal(grid[30:58, 59:87, 0], images[5, 0].numpy())  # last row, last column


@pytest.mark.parametrize('setting', ['rows', 'columns'])
def test_wrong_settings(setting):
    with pytest.raises(ValueError, match=f'SampleGridHook: {setting} must be an integer >= 1, found 0'):
        SampleGridHook(**{setting: 0})

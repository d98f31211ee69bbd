"""The metric of restored images."""

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS, MODELS

from slf_mmdet.evaluation import psnr


def test_psnr_by_hand():
    # 10 log10(1 / 0.02^2) = 33.979
    assert psnr(torch.full((3, 4, 5), 0.5), torch.full((3, 4, 5), 0.52)) == pytest.approx(-20 * np.log10(0.02))
    assert psnr(torch.ones(3, 2, 2), torch.ones(3, 2, 2)) == np.inf


def test_means_over_the_images_beside_interpolation():
    generator = torch.Generator().manual_seed(0)
    samples = [
        {key: torch.rand(3, 20, 24, generator=generator) for key in ('restored', 'bicubic', 'true')} for _ in range(3)
    ]
    network = dict(type='ResNet', depth=18, base_channels=4)
    torch.manual_seed(0)
    metric = METRICS.build(
        dict(
            type='RestorationMetric',
            distances=dict(net=dict(type='PerceptualLoss', network=network, layers=dict(layer1=1.0))),
        )
    )
    metric.process(None, samples[:2])
    metric.process(None, samples[2:])
    loss = metric.distances['net']
    assert isinstance(loss, MODELS.get('PerceptualLoss'))
    found = metric.evaluate(3)
    with torch.no_grad():
        for suffix, key in (('', 'restored'), ('_bicubic', 'bicubic')):
            distances = [loss(sample[key][None], sample['true'][None]).item() for sample in samples]
            ratios = [psnr(sample[key], sample['true']) for sample in samples]
            assert found[f'restoration/net{suffix}'] == pytest.approx(np.mean(distances))
            assert found[f'restoration/psnr{suffix}'] == pytest.approx(np.mean(ratios))

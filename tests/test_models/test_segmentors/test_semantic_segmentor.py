"""A model for semantic segmentation: its parts, their balance, what it predicts."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

from slf_mmdet.losses import BoundaryLoss, GeneralizedDiceLoss

SETTINGS = dict(
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[128] * 3, std=[64] * 3, pad_seg=True),
    backbone=dict(type='UNet', base_channels=4, num_stages=2),
    num_classes=3,
    in_channels=4,
    losses=dict(dice=dict(type='GeneralizedDiceLoss'), boundary=dict(type='BoundaryLoss')),
)
PARTS = ['loss_dice', 'loss_boundary']


def build(**settings):
    torch.manual_seed(0)
    return MODELS.build({'type': 'SemanticSegmentor', **copy.deepcopy(SETTINGS), **settings})


def balanced(**balancer):
    return build(
        type='BalancedDetector', detector_type='SemanticSegmentor', loss_balancer=dict(parts=PARTS, **balancer)
    )


def batch(*sizes, seed=0):
    """Noise on which squares of two classes are brighter."""
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for index, (height, width) in enumerate(sizes or ((24, 32), (24, 32))):
        labels = torch.zeros(1, height, width, dtype=torch.uint8)
        labels[:, 4:10, 4:10], labels[:, 12:16, 14:20] = 1, 2
        inputs.append((50 + 60 * labels + 20 * torch.rand(3, height, width, generator=generator)).to(torch.uint8))
        samples.append(DetDataSample(metainfo=dict(img_path=f'{index}.jpg', img_shape=(height, width))))
        samples[-1].set_metainfo(dict(ori_shape=(2 * height, 2 * width)))
        samples[-1].gt_sem_seg = PixelData(sem_seg=labels)
    return dict(inputs=inputs, data_samples=samples)


def run(model, mode, data=None):
    return model(**model.data_preprocessor(copy.deepcopy(data or batch()), mode == 'loss'), mode=mode)


def test_parts_are_the_losses_of_its_logits():
    model = build().eval()
    logits = run(model, 'tensor')
    labels = torch.cat([sample.gt_sem_seg.sem_seg for sample in batch()['data_samples']])
    assert logits.shape == (2, 3, 24, 32)
    losses = run(model, 'loss')
    assert list(losses) == PARTS
    torch.testing.assert_close(losses['loss_dice'], GeneralizedDiceLoss()(logits, labels))
    torch.testing.assert_close(losses['loss_boundary'], BoundaryLoss()(logits, labels))


def test_padding_of_smaller_images_does_not_count():
    model = build().eval()
    padded = run(model, 'loss', batch((24, 32), (20, 28)))
    model.data_preprocessor.seg_pad_value = 0
    counted = run(model, 'loss', batch((24, 32), (20, 28)))
    assert all(padded[key] != counted[key] for key in PARTS)


def test_a_smaller_map_is_enlarged():
    backbone = dict(
        type='ResNet', depth=18, base_channels=4, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)
    )
    model = build(backbone=backbone).eval()
    assert model.extract_feat(torch.zeros(1, 3, 24, 32)).shape == (1, 4, 6, 8)
    assert run(model, 'tensor').shape == (2, 3, 24, 32)


def test_predicts_without_padding_and_in_the_size_of_the_file():
    model = build().eval()
    data = batch((24, 32), (20, 28))
    for rescale, sizes in ((True, [(48, 64), (40, 56)]), (False, [(24, 32), (20, 28)])):
        inputs = model.data_preprocessor(copy.deepcopy(data), False)
        found = model.predict(inputs['inputs'], inputs['data_samples'], rescale)
        assert [sample.pred_sem_seg.sem_seg.shape for sample in found] == [(1, *size) for size in sizes]
    logits = run(model, 'tensor', data)[1, :, :20, :28]
    torch.testing.assert_close(found[1].pred_sem_seg.sem_seg[0], logits.argmax(0))


def test_balanced_parts_are_weighted():
    losses = run(build().eval(), 'loss')
    weighted = run(balanced(type='StaticBalancer', base_weights=dict(dice=1.0, boundary=0.25)).eval(), 'loss')
    torch.testing.assert_close(weighted['loss_dice'], losses['loss_dice'])
    torch.testing.assert_close(weighted['loss_boundary'], 0.25 * losses['loss_boundary'])


def test_quality_is_soft_dice():
    model = build().eval()
    samples = batch()['data_samples']
    inputs = model.data_preprocessor(batch(), False)['inputs']
    quality = model.soft_quality(model.extract_feat(inputs), samples)
    torch.testing.assert_close(quality, 1 - run(model, 'loss')['loss_dice'])
    assert 0 < quality < 1


@pytest.mark.parametrize('signal', ['DeltaAP', 'GradientAlignment'])
def test_slf_measures_what_is_lost_with_a_part(signal):
    """Of Dice, since there are no boxes."""
    model = balanced(type='SLFBalancer', signal=dict(type=signal, interval=1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    first = run(model, 'loss')
    for step in range(12):
        loss, _ = model.parse_losses(run(model, 'loss', batch(seed=step)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < model.parse_losses(first)[0]
    weights = model.loss_balancer.last.weights
    assert weights.sum().item() == pytest.approx(2) and (weights > 0).all()
    if signal == 'DeltaAP':
        lost = model.loss_balancer.monitored()['ap_lost']
        assert lost[0] > 0.1  # the whole of Dice is lost with Dice


def test_errors():
    with pytest.raises(ValueError, match='num_classes must be an integer >= 2, found 1.*background is one'):
        build(num_classes=1)
    with pytest.raises(ValueError, match='losses must be a dict of at least one loss'):
        build(losses={})
    data = batch()
    del data['data_samples'][1].gt_sem_seg
    with pytest.raises(ValueError, match='1 image.s. have no map of classes .gt_sem_seg., such as 1.jpg'):
        model = build()
        model.loss(torch.zeros(2, 3, 24, 32), data['data_samples'])

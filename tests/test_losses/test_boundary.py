"""The boundary loss beside MONAI's, a literal search for the nearest pixel, and what mask heads pass."""

import sys

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import MODELS

from slf_mmdet.losses import BoundaryLoss, boundary, signed_distance

from .label_maps import one_hot, random_labels, random_logits


def literal_distance(mask):
    """To the nearest pixel of the other kind, one after the other."""
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    found = np.zeros(mask.shape)
    for y, x in np.ndindex(mask.shape):
        others = outside if mask[y, x] else inside
        nearest = min(np.hypot(y - a, x - b) for a, b in others)
        found[y, x] = 1 - nearest if mask[y, x] else nearest
    return found


def test_distance_equals_a_literal_search():
    masks = (
        torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.1, 0.5, 0.9])[:, None, None]
    )
    for mask, distance in zip(masks, signed_distance(masks.float())):
        np.testing.assert_allclose(distance, literal_distance(mask.numpy()), rtol=1e-6)


@pytest.fixture
def monai_class():
    if sys.version_info < (3, 10):
        pytest.skip('MONAI has a boundary loss since 1.6, which needs Python 3.10')
    from monai.losses import BoundaryLoss as MonaiBoundaryLoss

    return MonaiBoundaryLoss


def test_distance_equals_that_of_monai(monai_class):
    masks = one_hot(random_labels())
    expected = monai_class().compute_distance_map(masks)
    torch.testing.assert_close(signed_distance(masks), expected)
    assert not expected[0].any() and not expected[1].any() and expected[2].any()


@pytest.mark.parametrize('background', [False, True])
def test_equals_that_of_monai_up_to_the_constant(background, monai_class):
    labels, logits = random_labels(), random_logits().requires_grad_()
    masks = one_hot(labels)
    theirs = monai_class(softmax=True, include_background=background)(logits, masks)
    ours = BoundaryLoss(include_background=background)(logits, labels)
    first = 0 if background else 1
    constant = (signed_distance(masks) * masks)[:, first:].mean()
    torch.testing.assert_close(ours, theirs - constant)
    grads = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*grads)


def test_is_0_for_the_truth_and_larger_for_anything_else():
    masks = one_hot(random_labels())[2:]
    assert not boundary(masks, masks).any()
    assert (boundary(torch.rand(masks.shape), masks) > 0).all()


def test_a_false_pixel_costs_its_distance():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 2:5, 2:5] = 1
    logits = 60 * one_hot(labels, 2) - 30
    for y, x, distance in ((2, 7, 3.0), (7, 7, np.hypot(3, 3)), (3, 3, 1.0), (2, 2, 0.0)):  # the last two are inside
        wrong = logits.clone()
        wrong[0, :, y, x] = -wrong[0, :, y, x]
        assert BoundaryLoss()(wrong, labels).item() == pytest.approx(distance / 64)


def test_pixels_that_do_not_count():
    labels, logits = random_labels(), random_logits()
    labels[2, :, 12:] = 255
    before = BoundaryLoss(reduction='none')(logits, labels)
    logits[2, :, :, 12:] = 50 * torch.randn(3, 17, 11)
    torch.testing.assert_close(BoundaryLoss(reduction='none')(logits, labels), before)
    labels[labels == 255] = 7
    torch.testing.assert_close(BoundaryLoss(reduction='none')(logits, labels, ignore_index=7), before)


def test_weights_are_those_of_images():
    labels, logits = random_labels(), random_logits()
    each = BoundaryLoss(reduction='none')(logits, labels)
    assert each.shape == (4, 2)
    weight = torch.tensor([1.0, 1.0, 0.0, 0.5])
    torch.testing.assert_close(BoundaryLoss()(logits, labels, weight), (each * weight[:, None]).mean())


def test_wrong_inputs():
    labels, logits = random_labels(), random_logits()
    with pytest.raises(ValueError, match=r'BoundaryLoss: predictions must be logits.*\(4, 3, 17, 23\).*\(4, 17, 22\)'):
        BoundaryLoss()(logits, labels[..., 1:])
    with pytest.raises(ValueError, match='Class labels must be from 0 to 2, found 5'):
        BoundaryLoss()(logits, labels.masked_fill(labels == 2, 5))
    with pytest.raises(ValueError, match=r'nothing but a background.*\(4, 1, 17, 23\)'):
        BoundaryLoss(use_sigmoid=True)(logits[:, :1], labels.clamp_max(0))
    with pytest.raises(ValueError, match='use_mask=True needs the class of each mask'):
        BoundaryLoss(use_mask=True)(logits, labels)


@pytest.mark.parametrize('objects', [3, 0])
def test_as_the_loss_of_a_mask_head(objects):
    head = MODELS.build(dict(type='FCNMaskHead', num_classes=5, loss_mask=dict(type='BoundaryLoss', use_mask=True)))
    assert isinstance(head, FCNMaskHead)
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(objects, 5, 14, 14, generator=generator).requires_grad_()
    target = (torch.rand(objects, 14, 14, generator=generator) < 0.4).float()
    classes = torch.tensor([4, 0, 2])[:objects]
    loss = head.loss_mask(pred, target, classes)
    expected = sum(
        boundary(pred[i, c].sigmoid()[None, None], target[i][None, None]).sum() / objects for i, c in enumerate(classes)
    )
    torch.testing.assert_close(loss, expected + torch.zeros(()))
    (grad,) = torch.autograd.grad(loss, pred)
    trained = {(i, c) for i, c in grad.flatten(2).any(-1).nonzero().tolist()}
    assert trained == set(enumerate(classes.tolist()))

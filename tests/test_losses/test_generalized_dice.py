"""Generalised Dice beside MONAI's."""

import pytest
import torch
from monai.losses import GeneralizedDiceLoss as MonaiGeneralizedDiceLoss

from slf_mmdet.losses import GeneralizedDiceLoss, generalized_dice

from .label_maps import one_hot, random_labels, random_logits


@pytest.mark.parametrize('sigmoid', [False, True])
def test_equals_that_of_monai(sigmoid):
    """Also where an image lacks classes."""
    labels, logits = random_labels(), random_logits().requires_grad_()
    activation = dict(sigmoid=True) if sigmoid else dict(softmax=True)
    theirs = MonaiGeneralizedDiceLoss(**activation, smooth_nr=0, smooth_dr=0)(logits, one_hot(labels))
    ours = GeneralizedDiceLoss(use_sigmoid=sigmoid)(logits, labels)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*[torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)])


def test_by_hand():
    # 8 pixels, of which 2 are foreground; half of each kind is found.
    # w = 1 / 36 and 1 / 4; overlap 3 / 36 + 1 / 4 = 1 / 3; sizes (4 + 6) / 36 + (4 + 2) / 4 = 16 / 9
    true = torch.tensor([0.0, 0, 0, 0, 0, 0, 1, 1]).view(1, 1, 2, 4)
    found = torch.tensor([0.0, 0, 0, 1, 1, 1, 0, 1]).view(1, 1, 2, 4)
    both = [torch.cat([1 - x, x], 1) for x in (found, true)]
    assert generalized_dice(*both).item() == pytest.approx(1 - 2 * (1 / 3) / (16 / 9))


def test_a_wrong_image_is_1_and_the_truth_0():
    masks = one_hot(random_labels(2), 2)[2:]
    torch.testing.assert_close(generalized_dice(masks, masks), torch.zeros(2))
    torch.testing.assert_close(generalized_dice(1 - masks, masks), torch.ones(2))


def test_pixels_that_do_not_count():
    labels, logits = random_labels(), random_logits()
    labels[2, :, 12:] = 255
    ours = GeneralizedDiceLoss(reduction='none')(logits, labels)
    assert ours.shape == (4,)
    cut = GeneralizedDiceLoss(reduction='none')(logits[2:3, :, :, :12], labels[2:3, :, :12])
    torch.testing.assert_close(ours[2:3], cut)


def test_an_image_of_which_nothing_counts_is_0_with_a_gradient_of_0():
    logits = random_logits().requires_grad_()
    loss = GeneralizedDiceLoss(reduction='sum')(logits, torch.full((4, 17, 23), 255))
    assert loss == 0
    (grad,) = torch.autograd.grad(loss, logits)
    assert not grad.any()

"""Losses of GANs, against values and gradients worked out by hand."""

import math

import pytest
import torch
from torch import nn

from slf_mmdet.losses import (
    LeastSquaresGANLoss,
    MinimaxGANLoss,
    NonSaturatingGANLoss,
    WGANGPLoss,
    WGANLoss,
    gradient_penalty,
)

LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)
# Class, term, scores, value, gradient. The logistic function is 1/2 at 0, 3/4 at log 3, 1/4 at -log 3.
BY_HAND = [
    (MinimaxGANLoss, 'real', [0, LOG3], (LOG2 + LOG4 - LOG3) / 2, [-1 / 4, -1 / 8]),  # -log s; s - 1
    (MinimaxGANLoss, 'fake', [0, -LOG3], (LOG2 + LOG4 - LOG3) / 2, [1 / 4, 1 / 8]),  # -log(1 - s); s
    (MinimaxGANLoss, 'generator', [0, -LOG3], -(LOG2 + LOG4 - LOG3) / 2, [-1 / 4, -1 / 8]),  # log(1 - s); -s
    (NonSaturatingGANLoss, 'real', [0, LOG3], (LOG2 + LOG4 - LOG3) / 2, [-1 / 4, -1 / 8]),
    (NonSaturatingGANLoss, 'fake', [0, -LOG3], (LOG2 + LOG4 - LOG3) / 2, [1 / 4, 1 / 8]),
    (NonSaturatingGANLoss, 'generator', [0, -LOG3], (LOG2 + LOG4) / 2, [-1 / 4, -3 / 8]),  # -log s; s - 1
    (LeastSquaresGANLoss, 'real', [1, 3], (0 + 4) / 4, [0, 1]),  # (x - 1)^2 / 2; x - 1
    (LeastSquaresGANLoss, 'fake', [0, 3], (0 + 9) / 4, [0, 3 / 2]),  # x^2 / 2; x
    (LeastSquaresGANLoss, 'generator', [0, 3], (1 + 4) / 4, [-1 / 2, 1]),
    (WGANLoss, 'real', [1, 4], -5 / 2, [-1 / 2, -1 / 2]),
    (WGANLoss, 'fake', [1, 4], 5 / 2, [1 / 2, 1 / 2]),
    (WGANLoss, 'generator', [1, 4], -5 / 2, [-1 / 2, -1 / 2]),
    (WGANGPLoss, 'real', [1, 4], -5 / 2, [-1 / 2, -1 / 2]),
    (WGANGPLoss, 'fake', [1, 4], 5 / 2, [1 / 2, 1 / 2]),
    (WGANGPLoss, 'generator', [1, 4], -5 / 2, [-1 / 2, -1 / 2]),
]


@pytest.mark.parametrize(('kind', 'term', 'scores', 'value', 'gradient'), BY_HAND)
def test_value_and_gradient(kind, term, scores, value, gradient):
    scores = torch.tensor(scores, dtype=torch.double, requires_grad=True)
    loss = getattr(kind(), term)(scores)
    loss.backward()
    assert loss.shape == () and loss.item() == pytest.approx(value, abs=1e-12)
    assert scores.grad.tolist() == pytest.approx(gradient, abs=1e-12)


@pytest.mark.parametrize(('kind', 'gradient'), [(MinimaxGANLoss, 0.0), (NonSaturatingGANLoss, -1.0)])
def test_where_the_discriminator_is_sure(kind, gradient):
    scores = torch.tensor([-200.0], requires_grad=True)
    loss = kind().generator(scores)
    loss.backward()
    assert torch.isfinite(loss) and scores.grad.item() == pytest.approx(gradient, abs=1e-12)


def test_clipping():
    critic = nn.Linear(3, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[0.5, -0.5, 0.005]]))
        critic.bias.fill_(-3)
    WGANLoss(0.01).constrain(critic)
    assert critic.weight.tolist() == [pytest.approx([0.01, -0.01, 0.005])]
    assert critic.bias.item() == pytest.approx(-0.01)


@pytest.mark.parametrize('kind', [MinimaxGANLoss, NonSaturatingGANLoss, LeastSquaresGANLoss, WGANGPLoss])
def test_others_do_not_clip(kind):
    critic = nn.Linear(3, 1)
    nn.init.constant_(critic.weight, 7)
    kind().constrain(critic)
    assert (critic.weight == 7).all()


@pytest.mark.parametrize('kind', [MinimaxGANLoss, NonSaturatingGANLoss, LeastSquaresGANLoss, WGANLoss])
def test_others_have_no_penalty(kind):
    assert kind().penalty(torch.sum, torch.zeros(2, 1), torch.ones(2, 1)) is None


def test_penalty_of_a_linear_critic():
    """D(x) = w.x, w = (3, 4): the gradient's norm is 5 everywhere; 2 (5 - 1) w / 5 = (4.8, 6.4), times the weight."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    loss = WGANGPLoss(penalty_weight=0.5).penalty(
        lambda x: x.flatten(1) @ weight, torch.rand(6, 1, 2), torch.rand(6, 1, 2)
    )
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 16)
    assert weight.grad.tolist() == pytest.approx([2.4, 3.2])


def test_penalty_is_taken_between_the_images():
    """D(x) = |x|^2 / 2 has the gradient x = 10 u: the mean of (10 u - 1)^2 over u ~ U(0, 1) is 100/3 - 10 + 1."""
    torch.manual_seed(0)
    real = torch.tensor([[6.0, 8.0]]).expand(20000, 2)
    penalty = gradient_penalty(lambda x: x.square().sum(1) / 2, real, torch.zeros(20000, 2))
    assert penalty.item() == pytest.approx(100 / 3 - 9, rel=0.02)


def test_penalty_of_a_critic_that_sees_nothing():
    critic = nn.Linear(4, 1)
    nn.init.zeros_(critic.weight)
    penalty = gradient_penalty(lambda x: critic(x).squeeze(1), torch.rand(3, 4), torch.rand(3, 4))
    penalty.backward()
    assert penalty.item() == 1 and torch.isfinite(critic.weight.grad).all()


@pytest.mark.parametrize('value', [0, -0.01, float('nan'), float('inf'), '0.01', None, True])
def test_wrong_settings(value):
    with pytest.raises(ValueError, match=r'WGANLoss: clip_value must be > 0, found .*the paper takes 0\.01'):
        WGANLoss(clip_value=value)
    with pytest.raises(ValueError, match=r'WGANGPLoss: penalty_weight must be > 0, found .*the paper takes 10'):
        WGANGPLoss(penalty_weight=value)

"""What is particular to Random Loss Weighting."""

import pytest
import torch

from slf_mmdet.balancers import Step

from .registry import BASE, PARTS, build, observe, random_inputs, weights_of


def test_weights_are_the_base_weights_times_n_times_a_softmax_of_normal_noise():
    balancer = build('RLWBalancer', seed=3)
    for step in range(4):
        noise = torch.randn(4, generator=balancer.generator.at(step, torch.device('cpu')))
        expected = [4 * base * e for base, e in zip(BASE, noise.exp() / noise.exp().sum())]
        torch.testing.assert_close(weights_of(balancer(*random_inputs())), torch.stack(expected))


def test_on_average_the_weights_are_the_base_weights():
    # n softmax(z)_i of 4 normal variates has a standard deviation of 0.7 or so: 5 of the mean's, over 1500 draws
    _, weights = observe(build('RLWBalancer'), 1500)
    torch.testing.assert_close(torch.tensor(weights).mean(0) / BASE, torch.ones(4), atol=5 * 0.7 / 1500**0.5, rtol=0)


def test_all_images_of_a_batch_have_the_same_weights():
    assert build('RLWBalancer').compute_weights(Step(torch.ones(64, 4), PARTS)).weights.shape == (len(PARTS),)


@pytest.mark.parametrize('seed', [None, 7])
def test_seed_decides_the_draws(seed):
    _, first = observe(build('RLWBalancer', seed=seed), 3)
    torch.rand(5)
    _, second = observe(build('RLWBalancer', seed=seed), 3)
    assert first == second
    assert first != observe(build('RLWBalancer', seed=8), 3)[1]
    assert first[0] != first[1]

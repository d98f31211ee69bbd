"""The sampler against Eq. 5-10 of the paper and against gradients worked out by hand."""

import math

import pytest
import torch

from slf_mmdet.balancers import multiple_gumbel_softmax

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_part_i_is_drawn_with_frequency_p_i():
    # Eq. 8. With n draws the frequency has a standard deviation of sqrt(p (1 - p) / n) <= 0.0008: 5 of them as bound.
    n = 400_000
    samples = multiple_gumbel_softmax(P.log().expand(n, 4), num_samples=1, generator=generator())
    bound = 5 * (P * (1 - P) / n).sqrt()
    assert ((samples.mean(0) - P).abs() < bound).all()


@pytest.mark.parametrize('tau', [0.1, 1.0, 10.0])
def test_one_sample_is_one_hot_at_any_temperature(tau):
    samples = multiple_gumbel_softmax(P.log().expand(1000, 4), num_samples=1, tau=tau, generator=generator())
    assert set(samples.unique().tolist()) == {0.0, 1.0}
    assert (samples.sum(-1) == 1).all()


def test_k_samples_are_multiples_of_one_kth_and_sum_to_one():
    samples = multiple_gumbel_softmax(P.log().expand(1000, 4), num_samples=4, generator=generator())
    torch.testing.assert_close(samples * 4, (samples * 4).round())
    torch.testing.assert_close(samples.sum(-1), torch.ones(1000, dtype=torch.float64))


def test_many_samples_tend_to_softmax():
    # Standard deviation of each entry <= sqrt(0.25 / 100000) = 0.0016
    logits = torch.tensor([1.0, -0.5, 0.2])
    mean = multiple_gumbel_softmax(logits, num_samples=100_000, generator=generator())
    torch.testing.assert_close(mean, logits.softmax(-1), atol=0.008, rtol=0)


def test_relaxed_samples_are_equation_6():
    torch.manual_seed(1)
    tau = 0.7
    relaxed = multiple_gumbel_softmax(P.log(), num_samples=1, tau=tau, hard=False)
    torch.manual_seed(1)
    noise = -torch.rand(4, dtype=torch.float64).log()
    scores = [math.exp((math.log(p) - math.log(e)) / tau) for p, e in zip(P.tolist(), noise.tolist())]
    expected = torch.tensor([score / sum(scores) for score in scores], dtype=torch.float64)
    torch.testing.assert_close(relaxed, expected)


def test_same_as_torch_for_one_sample_of_the_same_noise(monkeypatch):
    monkeypatch.setattr(torch.Tensor, 'exponential_', lambda self: self.uniform_().log_().neg_())
    log_p = P.log().expand(50, 4)
    torch.manual_seed(3)
    ours = multiple_gumbel_softmax(log_p, num_samples=1, tau=0.5)
    torch.manual_seed(3)
    theirs = torch.nn.functional.gumbel_softmax(log_p.T.contiguous(), tau=0.5, hard=True, dim=0).T
    torch.testing.assert_close(ours, theirs)


def test_straight_through_gradient_is_that_of_the_relaxed_samples():
    # Soft sample y = softmax((mu + g) / tau): dy_i/dmu_j = y_i (delta_ij - y_j) / tau, averaged over the K samples.
    tau, k = 0.5, 3
    mu = P.log().clone().requires_grad_()
    cost = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    (multiple_gumbel_softmax(mu, k, tau, generator=generator(7)) * cost).sum().backward()

    noise = -torch.rand(4, k, dtype=torch.float64, generator=generator(7)).log().T
    expected = torch.zeros(4, dtype=torch.float64)
    for sample in range(k):
        y = ((P.log() - noise[sample].log()) / tau).softmax(0)
        jacobian = (torch.diag(y) - torch.outer(y, y)) / tau
        expected += jacobian @ cost / k
    torch.testing.assert_close(mu.grad, expected)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_never_nan_even_for_impossible_parts_and_extreme_temperatures(dtype):
    log_p = torch.tensor([0.0, -1e4, -50.0], dtype=dtype).expand(200_000, 3).clone().requires_grad_()
    for tau in (1e-3, 1.0, 1e3):
        out = multiple_gumbel_softmax(log_p, 2, tau, generator=generator())
        (grad,) = torch.autograd.grad(out[:, 0].sum(), log_p)
        assert torch.isfinite(out).all() and torch.isfinite(grad).all()


@pytest.mark.parametrize(
    ('kwargs', 'message'), [(dict(num_samples=0), 'num_samples.*found 0'), (dict(tau=0.0), 'tau.*0.0')]
)
def test_wrong_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        multiple_gumbel_softmax(P.log(), **kwargs)


def test_entries_that_tie_share_a_sample(monkeypatch):
    monkeypatch.setattr(torch, 'rand', lambda *args, **kwargs: torch.full(args[0], 0.5, dtype=kwargs['dtype']))
    log_p = torch.tensor([[0.4, 0.4, 0.2], [0.2, 0.5, 0.3]]).log()
    assert multiple_gumbel_softmax(log_p, num_samples=2).tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]

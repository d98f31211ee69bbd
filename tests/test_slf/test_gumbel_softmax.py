"""Multiple Gumbel-Softmax against Eq. 5-10 of the paper and by hand; the stratified one against the independent one."""

import math

import pytest
import torch

from slf_mmdet.slf import multiple_gumbel_softmax, stratified_gumbel_softmax

from ..helpers import needs_torch

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


SAMPLERS = pytest.mark.parametrize('sample', [multiple_gumbel_softmax, stratified_gumbel_softmax])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@SAMPLERS
def test_never_nan_even_for_impossible_parts_and_extreme_temperatures(sample, dtype):
    log_p = torch.tensor([0.0, -1e4, -50.0], dtype=dtype).expand(50_000, 3).clone().requires_grad_()
    for tau in (1e-3, 1.0, 1e3):
        out = sample(log_p, 2, tau, generator=generator())
        (grad,) = torch.autograd.grad(out[:, 0].sum(), log_p)
        assert torch.isfinite(out).all() and torch.isfinite(grad).all()
        assert (out[:, 1] == 0).all()


@SAMPLERS
def test_half_precision_is_drawn_in_fp32(sample):
    """A probability of 1e-4 comes up as often as that: with noise in fp16 it would be 1e-5."""
    n, k, rare = 150_000, 4, 1e-4
    log_p = torch.tensor([1 - rare, rare]).log().half()
    samples = sample(log_p.expand(n, 2), k, generator=generator())
    assert samples.dtype == torch.float32
    p = log_p.float().softmax(0)
    # the standard deviation with independent draws is sqrt(1e-4 / 600000) = 1.3e-5; stratified ones have less
    assert samples.mean(0)[1].item() == pytest.approx(p[1].item(), abs=5 * math.sqrt(rare / (n * k)))
    torch.testing.assert_close(samples, sample(log_p.float().expand(n, 2), k, generator=generator()))


def compiled(sample, source, fullgraph):
    torch._dynamo.reset()
    return torch.compile(lambda log_p: sample(log_p, 3, 0.7, generator=source), backend='eager', fullgraph=fullgraph)


@SAMPLERS
def test_compiled_with_a_generator_it_draws_the_same(sample):
    log_p, expected = P.log().expand(5, 4), sample(P.log().expand(5, 4), 3, 0.7, generator=generator())
    assert torch.equal(compiled(sample, generator(), fullgraph=False)(log_p), expected)


@SAMPLERS
@needs_torch('2.2', 'promote_types in a graph')
def test_as_a_whole_graph_it_compiles_without_a_generator_only(sample):
    """If the second half fails, torch can trace generators now: correct the docstrings."""
    log_p = P.log().expand(5, 4)
    torch.manual_seed(2)
    expected = sample(log_p, 3, 0.7)
    torch.manual_seed(2)
    assert torch.equal(compiled(sample, None, fullgraph=True)(log_p), expected)
    with pytest.raises(torch._dynamo.exc.Unsupported):
        compiled(sample, generator(), fullgraph=True)(log_p)


@pytest.mark.parametrize(
    ('kwargs', 'message'), [(dict(num_samples=0), 'num_samples.*found 0'), (dict(tau=0.0), 'tau.*0.0')]
)
@SAMPLERS
def test_wrong_settings(sample, kwargs, message):
    with pytest.raises(ValueError, match=message):
        sample(P.log(), **kwargs)


def test_entries_that_tie_share_a_sample(monkeypatch):
    monkeypatch.setattr(torch, 'rand', lambda *args, **kwargs: torch.full(args[0], 0.5, dtype=kwargs['dtype']))
    log_p = torch.tensor([[0.4, 0.4, 0.2], [0.2, 0.5, 0.3]]).log()
    assert multiple_gumbel_softmax(log_p, num_samples=2).tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]


def single_rows(number, num_samples, sample):
    """Independent draws of ``P``, one after the other, ``(number, n)``."""
    source = generator(5)
    return torch.stack([sample(P.log(), num_samples, generator=source) for _ in range(number)])


@pytest.mark.parametrize('num_samples', [1, 3, 30])
def test_stratified_counts_are_the_expected_ones_up_to_one(num_samples):
    """Of K draws, floor or ceil of K p go to each category: of the cumulated counts to the ones up to it, too."""
    torch.manual_seed(0)
    p = torch.rand(200, 5, dtype=torch.float64).softmax(1)
    counts = num_samples * stratified_gumbel_softmax(p.log(), num_samples, generator=generator())
    torch.testing.assert_close(counts, counts.round())
    torch.testing.assert_close(counts.sum(1), torch.full((200,), float(num_samples), dtype=torch.float64))
    assert ((counts - num_samples * p).abs() < 1).all()
    assert ((counts.cumsum(1) - num_samples * p.cumsum(1)).abs() < 1).all()


def test_stratified_mean_is_p():
    # A row's count differs from K p by less than 1, with a standard deviation of at most 1 / 2: 5 of the mean's
    k, number = 3, 2000
    found = single_rows(number, k, stratified_gumbel_softmax)
    assert ((found.mean(0) - P).abs() < 5 * 0.5 / k / math.sqrt(number)).all()


@pytest.mark.parametrize('num_samples', [3, 30])
def test_stratified_samples_vary_less_than_independent_ones(num_samples):
    stratified = single_rows(1000, num_samples, stratified_gumbel_softmax)
    independent = single_rows(1000, num_samples, multiple_gumbel_softmax)
    assert (stratified.std(0) <= 0.5 / num_samples * 1.05).all()
    expected = (P * (1 - P) / num_samples).sqrt()
    torch.testing.assert_close(independent.std(0), expected, rtol=0.15, atol=0)
    # A category of p < 1 / K is drawn once or not at all: there is little to gain
    often = num_samples * P > 1
    assert (stratified.std(0) < 0.8 * independent.std(0))[often].all() and often.sum() >= 1


def test_stratified_rows_are_shifted_by_their_share_of_the_batch():
    """One uniform number for all: with K = 1, the rows of a batch go through the categories in order."""
    choices = stratified_gumbel_softmax(P.log().expand(100, 4), 1, generator=generator()).argmax(1)
    changes = (choices.diff() != 0).sum()
    assert changes <= 4 and (choices.bincount(minlength=4) - 100 * P).abs().max() < 1 + 1e-6


@pytest.mark.parametrize('tau', [0.3, 1.0, 3.0])
def test_stratified_gradient_has_the_expectation_of_independent_draws(tau):
    cost, rows = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64), 20_000

    def mean_and_standard_error(sample):
        mu = P.log().repeat(rows, 1).requires_grad_()
        out = sample(mu, 2, tau, generator=generator(11))
        (grad,) = torch.autograd.grad((out * cost).sum(), mu)
        return grad.mean(0), grad.std(0) / math.sqrt(rows)

    mean, error = mean_and_standard_error(stratified_gumbel_softmax)
    expected, expected_error = mean_and_standard_error(multiple_gumbel_softmax)
    assert ((mean - expected).abs() < 5 * (error.square() + expected_error.square()).sqrt()).all()
    assert (expected.abs() > 20 * expected_error).any()

"""The signal GradientAlignment: its formula against finite differences, and toy problems whose answer is known."""

import pytest
import torch

from slf_mmdet.balancers import DetectionQuality
from slf_mmdet.slf import GradientAlignment

from ...test_balancers.registry import BASE, build, costs_of, objective, random_features
from ..literal_alignment import aligned, shrunk_costs

LOSSES_ALONE = dict(target='training_loss', interval=1)


class Linear:
    """Parts that are linear in a shared vector: part i of batch t has the gradient g[t][i]."""

    def __init__(self, steps, parts=4, dim=6, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.shared = torch.zeros(dim, requires_grad=True)
        self.gradients = torch.randn(steps, parts, dim, generator=generator)

    def losses(self, step):
        return self.gradients[step] @ self.shared + 1.0

    def costs(self, signal, step, weights=BASE):
        return costs_of(signal, self.losses(step), weights, shared_parameters=self.shared)


@pytest.mark.parametrize('target', ['detection_quality', 'training_loss'])
def test_costs_compare_the_direction_of_each_part_with_the_batch_before(target):
    """The alignment is the derivative of the target along a step of length 1, by finite differences."""
    problem = Linear(5)
    signal = GradientAlignment(4, target, momentum=0.6, interval=1)
    wanted = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    weights = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(2)) + 0.1  # of three images
    before, seen = torch.zeros(6, dtype=torch.double), []
    for step in range(5):
        quality = DetectionQuality(lambda inputs, step=step: wanted[step] @ inputs[0], [problem.shared])
        offers = dict(shared_parameters=problem.shared, detection_quality=quality)
        costs = costs_of(signal, problem.losses(step), weights[step], **offers)
        alignments = aligned(problem.gradients[step], weights[step], before)
        assert sum(alignments) == pytest.approx(0, abs=1e-6)
        if step > 0:  # there was something to compare with
            seen.append(alignments)
        assert costs.tolist() == pytest.approx(shrunk_costs(seen, momentum=0.6), abs=1e-5)
        before = -BASE.double() @ problem.gradients[step].double()
        before = wanted[step].double() if target == 'detection_quality' else before


def test_costs_are_bounded_whatever_the_gradients():
    signal = GradientAlignment(4, momentum=0.5, **LOSSES_ALONE)
    for step in range(20):
        shared = torch.zeros(6, requires_grad=True)
        scale = torch.tensor([1e-9, 1.0, 1e9, 1e3]).unsqueeze(1)
        gradients = scale * torch.randn(4, 6, generator=torch.Generator().manual_seed(step))
        costs = costs_of(signal, gradients @ shared, shared_parameters=shared)
        assert (7.5 * costs).abs().max() <= 1 + 1e-5


def test_noise_is_not_followed():
    """With gradients that have nothing to do with each other most alignments are within the noise of their mean."""
    kept = []
    for seed in range(25):
        problem, signal = Linear(20, dim=50, seed=seed), GradientAlignment(4, **LOSSES_ALONE)
        for step in range(20):
            costs = problem.costs(signal, step)
        kept += (costs != 0).tolist()
    assert 0.2 < sum(kept) / len(kept) < 0.45  # 0.32 of the means of pure noise are further than one sigma from 0
    assert signal.alignment.mean.abs().min() > 0


@pytest.mark.parametrize('settings, follows', [(dict(), False), (dict(momentum=0.98), True)], ids=['default', 'short'])
def test_early_and_late_measurements_count_alike(settings, follows):
    """The first part helps in 100 measurements and hurts in 100: on the whole it does neither."""
    signal, costs = GradientAlignment(2, interval=1, **settings), []
    shared, weights = torch.zeros(2, requires_grad=True), torch.ones(2)
    quality = DetectionQuality(lambda inputs: -inputs[0][0], [shared])
    for step in range(201):  # the first has nothing to compare with
        sign = 1.0 if step <= 100 else -1.0
        gradients = torch.tensor([[sign, 1.0], [0.0, 1.0]])
        offers = dict(shared_parameters=shared, detection_quality=quality)
        costs.append(costs_of(signal, gradients @ shared, weights, **offers).tolist())
    assert costs[100][0] < -0.05
    assert (costs[200][0] > 0.05) == follows
    assert costs[200][0] >= 0


def test_a_batch_that_is_not_finite_leaves_no_trace():
    problem, signal = Linear(4), GradientAlignment(4, **LOSSES_ALONE)
    for step in range(3):
        factor = float('nan') if step == 1 else 1.0
        before = {key: value.clone() for key, value in signal.state_dict().items()}
        costs = costs_of(signal, factor * problem.losses(step), shared_parameters=problem.shared)
        assert costs.isfinite().all()
        unchanged = [
            torch.equal(value, before[key])
            for key, value in signal.state_dict().items()
            if key in before and 'steps' not in key
        ]
        if step:  # the first only sets the target
            assert all(unchanged) if step == 1 else not all(unchanged)
    first = GradientAlignment(4, **LOSSES_ALONE)
    for factor in (float('nan'), 1.0):
        costs_of(first, factor * problem.losses(0), shared_parameters=problem.shared)
        assert first.alignment.count == 0
    costs_of(first, problem.losses(1), shared_parameters=problem.shared)
    assert first.alignment.count == 1


@pytest.mark.parametrize('interval', [2, None])
def test_it_goes_on_after_a_resume(interval):
    settings = dict(target='training_loss', interval=interval)
    problem, first, second = Linear(12), GradientAlignment(4, **settings), GradientAlignment(4, **settings)
    for step in range(6):
        problem.costs(first, step)
    second.load_state_dict(first.state_dict())
    costs = [(problem.costs(first, step), problem.costs(second, step)) for step in range(6, 12)]
    assert all(torch.equal(one, other) for one, other in costs)
    assert costs[-1][0].abs().sum() > 0


class Toy:
    """Fits theta to a target from noisy batches; beside the useful part there is another one."""

    def __init__(self, other):
        self.generator = torch.Generator().manual_seed(1)
        self.theta = torch.zeros(8, requires_grad=True)
        self.target = torch.ones(8)
        self.other = other

    def noise(self):
        return torch.randn(8, generator=self.generator)

    def parts(self):
        useful = (self.theta - self.target - 0.3 * self.noise()).square().mean()
        others = dict(
            noise=0.5 * self.noise() @ self.theta + 0.01,
            duplicate=(self.theta - self.target - 0.3 * self.noise()).square().mean(),
            harmful=0.05 * (self.theta + 3 * self.target).square().mean(),
        )
        return dict(useful=useful, other=others[self.other])


ALIGNMENT = dict(signal=dict(type='GradientAlignment', **LOSSES_ALONE), kl_weight=0.3)
BY_SIZE = dict(signal=dict(type='TrainingLoss'), kl_weight=0)


def weights_after(toy, steps=80, **settings):
    """Weight of the useful part, of two in all, after training on the toy problem."""
    settings = dict(sampler=dict(type='Softmax'), granularity='batch', **settings)
    balancer = build('SLFBalancer', parts=['useful', 'other'], base_weights=None, **settings)
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.1)
    seen = []
    for _ in range(steps):
        out = balancer(toy.parts(), random_features(1), shared_parameters=toy.theta)
        optimizer.zero_grad()
        toy.theta.grad = None
        objective(out).backward()
        optimizer.step()
        with torch.no_grad():
            toy.theta -= 0.01 * toy.theta.grad
        seen.append(out['balance_useful'].item())
    return sum(seen[-30:]) / 30


def test_it_takes_weight_from_pure_noise_to_which_the_training_loss_gives_it():
    assert weights_after(Toy('noise'), **ALIGNMENT) > 1.5
    assert weights_after(Toy('noise'), **BY_SIZE) < 0.5  # noise is 0 on average: the smaller part


def test_it_takes_weight_from_a_harmful_part_to_which_the_training_loss_gives_it():
    assert weights_after(Toy('harmful'), **ALIGNMENT) > 1.5
    # The harmful part is the smaller one: 0.05 * 16 = 0.8 at the start against 1.09, and it falls
    assert weights_after(Toy('harmful'), **BY_SIZE, steps=200) < 0.6


def test_it_treats_duplicates_alike():
    assert weights_after(Toy('duplicate'), **ALIGNMENT) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ('wrong', 'error', 'message'),
    [
        (
            dict(target='map'),
            ValueError,
            r"GradientAlignment: target must be one of \['detection_quality', 'training_loss'\], found 'map'",
        ),
        (dict(momentum=1.0), ValueError, r'GradientAlignment: momentum must be in \[0, 1\), found 1.0'),
        (dict(interval=0), ValueError, 'GradientAlignment: interval must be an integer >= 1 or None, found 0'),
        (dict(reference='base'), TypeError, "GradientAlignment has no setting 'reference'. It is called target"),
    ],
)
def test_wrong_settings(wrong, error, message):
    with pytest.raises(error, match=message):
        GradientAlignment(4, **wrong)

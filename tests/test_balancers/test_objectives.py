"""What the decision network minimises: formulas against literal loops, and toy problems whose answer is known."""

import math

import pytest
import torch
from registry import BASE_WEIGHTS, PARTS, build, objective, random_context, random_parts

from slf_mmdet.balancers.criterion import Criterion
from slf_mmdet.balancers.objectives import HeldOutObjective, build_objective
from slf_mmdet.balancers.part_gradients import part_gradients

BASE = torch.tensor([BASE_WEIGHTS[name] for name in PARTS])
EVERY_BATCH = dict(type='heldout', reference='base', interval=1)


def batches(steps, num_images=3):
    return [torch.stack(list(random_parts(num_images, seed=step).values()), dim=1) for step in range(steps)]


def test_joint_is_the_loss_without_its_unit():
    (losses,) = batches(1)
    costs = build_objective('joint', 4).costs(losses, BASE, BASE, None)
    base_loss = sum(BASE[i] * losses[k, i] for i in range(4) for k in range(3)) / 3
    torch.testing.assert_close(costs, losses / base_loss)
    assert (BASE * costs).sum(-1).mean().item() == pytest.approx(1)


def test_joint_takes_parts_that_are_negative():
    costs = build_objective('joint', 4).costs(torch.tensor([-2.0, 1.0, 0.0, -4.0]), torch.ones(4), torch.ones(4), None)
    assert costs.tolist() == pytest.approx([-2 / 7, 1 / 7, 0, -4 / 7])


@pytest.mark.parametrize('name', ['normalized', 'improvement'])
def test_running_means_follow_their_formula(name):
    made = build_objective(dict(type=name, momentum=0.7), 4)
    mean = None
    for losses in batches(5):
        costs = made.costs(losses, BASE, BASE, None)
        now = losses.mean(0)
        mean = now if mean is None else 0.7 * mean + 0.3 * now
        expected = losses / mean / 7.5 if name == 'normalized' else (mean / losses).log() / 7.5
        torch.testing.assert_close(costs, expected)


class Linear:
    """Parts that are linear in a shared vector: part i of batch t has the gradient g[t][i]."""

    def __init__(self, steps, parts=4, dim=6, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.shared = torch.zeros(dim, requires_grad=True)
        self.gradients = torch.randn(steps, parts, dim, generator=generator)

    def losses(self, step):
        return self.gradients[step] @ self.shared + 1.0


@pytest.mark.parametrize('reference', ['base', 'criterion'])
def test_heldout_compares_the_direction_of_each_part_with_the_batch_before(reference):
    """The tilt of each part is the derivative of the reference along a step of length 1, by finite differences."""
    problem = Linear(5)
    made = build_objective(dict(type='heldout', momentum=0.6, reference=reference, interval=1), 4)
    wanted = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    weights = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(2)) + 0.1  # of three images
    before, seen = torch.zeros(6, dtype=torch.double), []
    for step in range(5):
        costs = made.costs(
            problem.losses(step), BASE, weights[step], problem.shared, lambda step=step: wanted[step] @ problem.shared
        )
        g = problem.gradients[step].double()

        def lowered(logs, step=step, g=g, before=before):
            """By how much a step with these log-weights lowers the reference, times the length of the gradient now."""
            now = weights[step].double().mean(0)
            direction = (now * logs.exp()) @ g
            return (direction @ before / direction.norm() * (now @ g).norm()).item()

        tilts = [(lowered(1e-5 * unit) - lowered(-1e-5 * unit)) / 2e-5 for unit in torch.eye(4, dtype=torch.double)]
        assert sum(tilts) == pytest.approx(0, abs=1e-6)
        if step > 0:  # there was something to compare with
            seen.append(tilts)
        assert costs.tolist() == pytest.approx(shrunk_costs(seen, momentum=0.6), abs=1e-5)
        before = BASE.double() @ g if reference == 'base' else wanted[step].double()


def shrunk_costs(seen, momentum):
    """Costs of four parts from their tilts in all comparisons so far, by weighted sums."""
    if not seen:
        return [0.0] * 4
    shares = [momentum ** (len(seen) - 1 - k) for k in range(len(seen))]
    number = min(len(seen), (1 + momentum) / (1 - momentum))
    costs, squares = [], []
    for part in range(4):
        mean = sum(share * tilts[part] for share, tilts in zip(shares, seen)) / sum(shares)
        square = sum(share * tilts[part] ** 2 for share, tilts in zip(shares, seen)) / sum(shares)
        costs.append(-max(0.0, 1 - (square - mean**2) / (number * mean**2)) * mean)
        squares.append(square)
    return [cost / (7.5 * math.sqrt(max(squares))) for cost in costs]


def test_heldout_costs_are_bounded_whatever_the_gradients():
    made = build_objective(dict(type='heldout', reference='base', momentum=0.5), 4)
    for step in range(20):
        shared = torch.zeros(6, requires_grad=True)
        scale = torch.tensor([1e-9, 1.0, 1e9, 1e3]).unsqueeze(1)
        gradients = scale * torch.randn(4, 6, generator=torch.Generator().manual_seed(step))
        costs = made.costs(gradients @ shared, BASE, BASE, shared)
        assert (7.5 * costs).abs().max() <= 1 + 1e-5


def test_heldout_does_not_follow_noise():
    """With gradients that have nothing to do with each other most tilts are within the noise of their mean."""
    kept = []
    for seed in range(50):
        problem = Linear(40, dim=50, seed=seed)
        made = build_objective(dict(type='heldout', reference='base', interval=1), 4)
        for step in range(40):
            costs = made.costs(problem.losses(step), BASE, BASE, problem.shared)
        kept += (costs != 0).tolist()
    assert 0.2 < sum(kept) / len(kept) < 0.45  # 0.32 of the means of pure noise are further than one sigma from 0
    assert made.tilts.abs().min() > 0


@pytest.mark.parametrize('settings, follows', [(dict(), False), (dict(momentum=0.98), True)], ids=['default', 'short'])
def test_heldout_weighs_early_and_late_comparisons_alike(settings, follows):
    """The first part helps in 100 comparisons and hurts in 100: on the whole it does neither."""
    made = build_objective(dict(type='heldout', interval=1, **settings), 2)
    shared, weights, costs = torch.zeros(2, requires_grad=True), torch.ones(2), []
    for step in range(201):  # the first has nothing to compare with
        sign = 1.0 if step <= 100 else -1.0
        gradients = torch.tensor([[sign, 1.0], [0.0, 1.0]])
        costs.append(made.costs(gradients @ shared, weights, weights, shared, lambda: shared[0]).tolist())
    assert costs[100][0] < -0.1
    assert (costs[200][0] > 0.1) == follows
    assert costs[200][0] >= 0


def test_heldout_keeps_its_costs_between_comparisons():
    problem, made = Linear(7), build_objective(dict(type='heldout', reference='base', interval=3), 4)
    costs = [tuple(made.costs(problem.losses(step), BASE, BASE, problem.shared).tolist()) for step in range(7)]
    assert costs[0] == costs[1] == costs[2] == (0.0,) * 4  # nothing to compare with
    assert costs[3] == costs[4] == costs[5] != costs[0]
    assert costs[6] != costs[5]


def test_heldout_compares_ever_less_often():
    """A literal count: every fifth step up to 500, then 1 % of the steps so far from one to the next."""
    problem, made = Linear(1), build_objective(dict(type='heldout', reference='base'), 4)
    losses, compared = problem.losses(0), []
    for step in range(1500):
        before = made.reference.clone()
        made.reference.zero_()  # so that it shows where it is taken anew
        made.costs(losses, BASE, BASE, problem.shared)
        if made.reference.any():
            compared.append(step)
        else:
            made.reference.copy_(before)
    assert compared[:100] == list(range(0, 500, 5))
    assert compared[100:] == [step for step in range(500, 1500) if step % (step // 100) == 0]
    assert made.compared.value == len(compared) - 1  # the first has no reference


@pytest.mark.parametrize('interval', [2, None])
def test_heldout_goes_on_after_a_resume(interval):
    problem = Linear(6)
    first = build_objective(dict(type='heldout', reference='base', interval=interval), 4)
    for step in range(3):
        first.costs(problem.losses(step), BASE, BASE, problem.shared)
    second = build_objective(dict(type='heldout', reference='base', interval=interval), 4)
    second.load_state_dict(first.state_dict())
    for step in range(3, 6):
        expected = first.costs(problem.losses(step), BASE, BASE, problem.shared)
        assert torch.equal(second.costs(problem.losses(step), BASE, BASE, problem.shared), expected)


def test_heldout_learns_nothing_from_a_batch_that_is_not_finite():
    problem, made = Linear(4), build_objective(EVERY_BATCH, 4)
    for step in range(3):
        losses = problem.losses(step)
        before = made.tilts.clone()
        costs = made.costs(losses * (float('nan') if step == 1 else 1.0), BASE, BASE, problem.shared)
        assert costs.isfinite().all() and made.reference.isfinite().all()
        assert step != 1 or torch.equal(made.tilts, before)


class Told(Criterion):
    """Says of each batch what is put into it."""

    def __init__(self, *told):
        self.told = list(told)

    def gains(self, losses):
        return torch.tensor(self.told.pop(0))


def delta_ap(**settings):
    return build_objective(dict(type='delta_ap', interval=1, **settings), 4)


def costs_of(made, criterion):
    return made.costs(torch.rand(4), BASE, BASE, None, criterion)


def test_delta_ap_is_the_share_of_what_is_lost():
    told = [[0.1, 0.4, 0.2, 0.0], [0.0, 0.2, -0.1, 0.1], [-0.2, 0.0, 0.0, 0.0]]
    made, criterion = delta_ap(momentum=0.5), Told(*told)
    for number in range(1, 4):
        costs = costs_of(made, criterion)
        ages = 0.5 ** torch.arange(number).flip(0)
        mean = (ages.unsqueeze(1) * torch.tensor(told[:number])).sum(0) / ages.sum()
        lost = mean.clamp_min(0)
        assert lost.sum() > 0.1
        torch.testing.assert_close(7.5 * costs, -lost / lost.sum())
    assert costs[0] == 0 and costs[1] < 0


def test_delta_ap_follows_what_is_less_than_a_tenth_in_part():
    costs = costs_of(delta_ap(), Told([0.01, 0.04, -0.2, 0.0]))
    torch.testing.assert_close(7.5 * costs, torch.tensor([-0.1, -0.4, 0.0, 0.0]))


def test_delta_ap_follows_nothing_where_nothing_is_lost():
    made = delta_ap()
    assert costs_of(made, Told([0.0] * 4)).tolist() == [0.0] * 4
    assert costs_of(made, Told([-0.1] * 4)).tolist() == [0.0] * 4


def test_delta_ap_learns_nothing_from_a_batch_that_is_not_finite_or_in_evaluation():
    made = delta_ap()
    expected = costs_of(made, Told([0.1, 0.3, 0.0, 0.0]))
    assert torch.equal(costs_of(made, Told([float('nan'), 0.3, 0.0, 0.0])), expected)
    made.eval()
    assert torch.equal(costs_of(made, Told()), expected)


def test_delta_ap_asks_every_few_iterations_and_goes_on_after_a_resume():
    told = [[0.1, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0]]
    first = build_objective(dict(type='delta_ap', interval=3), 4)
    expected = [costs_of(first, criterion) for criterion in [Told(told[0])] * 3 + [Told(told[1])]]
    assert torch.equal(expected[0], expected[2]) and not torch.equal(expected[2], expected[3])
    second = build_objective(dict(type='delta_ap', interval=3), 4)
    second.load_state_dict(first.state_dict())
    for made in (first, second):
        costs = [costs_of(made, criterion) for criterion in [Told()] * 2 + [Told(told[2])]]
    assert torch.equal(costs_of(first, Told()), costs[-1])


def test_delta_ap_needs_a_criterion_that_knows_of_solved_parts():
    for criterion in (None, torch.rand(4).sum):
        with pytest.raises(ValueError, match="'delta_ap' needs a detector that offers a measure"):
            costs_of(delta_ap(), criterion)


def test_delta_ap_gives_weight_to_the_part_that_the_measure_lacks_until_it_is_solved():
    """Two sums of squares, one measure: the second part is all that is missing, then the first."""
    torch.manual_seed(0)
    output = torch.ones(8, 2, requires_grad=True)
    balancer = build(
        'SLFBalancer',
        objective=dict(type='delta_ap', interval=1, momentum=0.9),
        parts=['a', 'b'],
        context_dim=2,
        base_weights={},
    )
    optimizer = torch.optim.Adam(balancer.parameters(), lr=0.01)
    mean_weights = []
    for lacks in (1, 0):
        for _ in range(300):
            parts = dict(a=output[:, 0].square(), b=output[:, 1].square())
            criterion = Criterion(lambda places, lacks=lacks: places[0][:, lacks].abs().mean(), [output], reach=2.0)
            out = balancer(parts, context=output, criterion=criterion)
            optimizer.zero_grad()
            objective(out).backward()
            optimizer.step()
        mean_weights.append(balancer.last.weights)
    e = math.e
    torch.testing.assert_close(mean_weights[0], torch.tensor([2 / (1 + e), 2 * e / (1 + e)]), rtol=0.02, atol=0)
    torch.testing.assert_close(mean_weights[1], torch.tensor([2 * e / (1 + e), 2 / (1 + e)]), rtol=0.02, atol=0)


def test_part_gradients():
    a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    losses = torch.stack([torch.stack([a.sum(), (a * b[:2]).sum()]), torch.stack([3 * a.sum(), b.sum()])])
    # means over two images: (1 + 3) / 2 for a; (b + 0) / 2, (a + 1) / 2 and 1 / 2 for the last element of b
    expected = [[2.0, 2.0, 0.0, 0.0, 0.0], [0.5, 0.5, 1.0, 1.0, 0.5]]
    assert part_gradients(losses, [a, b]).tolist() == expected
    losses.sum().backward()  # the graph is still there
    with pytest.raises(ValueError, match='neither `shared` nor the context carries a graph'):
        part_gradients(losses, torch.ones(2))


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


def weights_after(toy, steps=150, **kwargs):
    """Weight of the useful part, of two in all, after training on the toy problem."""
    settings = dict(sampler='softmax', granularity='batch', seed=0)
    balancer = build(
        'SLFBalancer', parts=['useful', 'other'], base_weights=None, context_dim=6, **{**settings, **kwargs}
    )
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.05)
    seen = []
    for _ in range(steps):
        out = balancer(toy.parts(), random_context(1), shared=toy.theta)
        optimizer.zero_grad()
        toy.theta.grad = None
        objective(out).backward()
        optimizer.step()
        with torch.no_grad():
            toy.theta -= 0.01 * toy.theta.grad
        seen.append(out['balance/useful'].item())
    return sum(seen[-50:]) / 50


def test_heldout_takes_weight_from_pure_noise_to_which_joint_gives_it():
    assert weights_after(Toy('noise'), objective=EVERY_BATCH, kl_weight=0.3) > 1.5
    assert weights_after(Toy('noise'), objective='joint', kl_weight=0) < 0.5  # noise is 0 on average: the smaller part


def test_heldout_takes_weight_from_a_harmful_part_to_which_joint_gives_it():
    assert weights_after(Toy('harmful'), objective=EVERY_BATCH, kl_weight=0.3) > 1.5
    # The harmful part is the smaller one: 0.05 * 16 = 0.8 at the start against 1.09, and it falls
    assert weights_after(Toy('harmful'), objective='joint', kl_weight=0, steps=400) < 0.5


def test_heldout_treats_duplicates_alike():
    assert weights_after(Toy('duplicate'), objective=EVERY_BATCH, kl_weight=0.3) == pytest.approx(1.0, abs=0.1)


def test_improvement_favours_the_part_that_falls_behind():
    balancer = build('SLFBalancer', sampler='softmax', objective=dict(type='improvement', momentum=0.9), kl_weight=0.1)
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.2)
    for step in range(100):
        parts = {name: torch.tensor(1.0 if name == 'cls' else math.exp(-0.05 * step)) for name in PARTS}
        optimizer.zero_grad()
        out = balancer(parts, random_context())
        objective(out).backward()
        optimizer.step()
    shares = torch.stack([out[f'balance/{name}'] for name in PARTS]) / BASE
    assert shares[1] > 1.5 and (shares[[0, 2, 3]] < 1).all()


def test_warmup_keeps_the_base_weights_while_the_decision_network_learns():
    for kwargs in (dict(), dict(kl_weight=0)):
        balancer = build('SLFBalancer', warmup=3, num_samples=2, initial='uniform', **kwargs)
        for step in range(5):
            out = balancer(random_parts(), random_context())
            objective(out).backward()
            weights = torch.stack([out[f'balance/{name}'] for name in PARTS])
            assert torch.equal(weights, BASE) == (step < 3)
    balancer = build('SLFBalancer', warmup=3, initial='uniform')
    objective(balancer(random_parts(), random_context())).backward()
    assert balancer.decision_network.output.bias.grad.abs().sum() > 0


def test_number_of_samples_follows_a_schedule():
    schedule = dict(value=5, schedulers=[dict(type='LinearParamScheduler', start_factor=1.0, end_factor=0.2, end=5)])
    balancer = build('SLFBalancer', num_samples=schedule)
    samples = []
    for _ in range(6):
        weights = balancer.weigh(torch.ones(64, 4), random_context(64)).weights / 7.5
        # multiples of 1 / K
        samples.append(next(k for k in range(1, 9) if torch.allclose(weights * k, (weights * k).round(), atol=1e-4)))
    assert samples == [5, 4, 3, 2, 1, 1]


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (
            'joined',
            r"objective must be one of \['joint', 'normalized', 'improvement', 'heldout', 'delta_ap'\], found 'joined'",
        ),
        (dict(momentum=0.5), 'found None'),
        (dict(type='joint', momentum=0.5), r"'joint' has no setting \['momentum'\]; it has \[\]"),
        (dict(type='heldout', momentum=1.0), r'momentum must be in \[0, 1\), found 1.0'),
        (dict(type='delta_ap', momentum=-0.1), r'momentum must be in \[0, 1\), found -0.1'),
        (dict(type='delta_ap', interval=0.5), 'interval must be an integer >= 1 or None, found 0.5'),
        (dict(type='heldout', interval=0), 'interval must be an integer >= 1 or None, found 0'),
        (dict(type='heldout', reference='map'), r"reference must be one of \['base', 'criterion'\], found 'map'"),
    ],
)
def test_wrong_objectives(cfg, message):
    with pytest.raises(ValueError, match=message):
        build('SLFBalancer', objective=cfg)


def test_wrong_warmup():
    with pytest.raises(ValueError, match='warmup must be an integer >= 0, found -1'):
        build('SLFBalancer', warmup=-1)


def test_only_the_criterion_as_reference_asks_for_it():
    asked = []

    def criterion():
        asked.append(True)
        return (context * context.detach()).sum()

    context = random_context().requires_grad_()
    parts = {name: (context * (i + 1)).mean(1) for i, name in enumerate(PARTS)}
    for reference in ('base', 'criterion'):
        balancer = build('SLFBalancer', objective=dict(type='heldout', reference=reference, interval=1))
        assert balancer.needs_criterion == (reference == 'criterion')
        balancer(parts, context, criterion=criterion)
        assert bool(asked) == (reference == 'criterion')
    with pytest.raises(ValueError, match="reference='criterion' needs a detector that offers a measure"):
        balancer(parts, context)


def test_each_objective_has_an_anchor_of_its_own():
    assert build('SLFBalancer').kl_weight == 20 and build('SLFBalancer', objective='heldout').kl_weight == 0.3
    assert build('SLFBalancer', objective='heldout', kl_weight=0.5).kl_weight == 0.5
    assert build('SLFBalancer', objective='delta_ap').kl_weight == 1


def test_heldout_needs_something_shared():
    assert build('SLFBalancer', objective='heldout').needs_shared and not build('SLFBalancer').needs_shared
    assert isinstance(build('SLFBalancer', objective='heldout').objective, HeldOutObjective)
    with pytest.raises(ValueError, match='neither `shared` nor the context'):
        build('SLFBalancer', objective=EVERY_BATCH)(random_parts(), random_context())

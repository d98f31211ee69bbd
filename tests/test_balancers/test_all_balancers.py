"""What holds for every registered balancer."""

import copy
import io

import pytest
import torch
from mmengine.model import BaseModel

from .registry import (
    BASE,
    BASE_WEIGHTS,
    PARTS,
    all_balancers_but,
    balance,
    build,
    constant_inputs,
    objective,
    random_inputs,
    weights_of,
)

every_balancer = all_balancers_but()


@pytest.mark.parametrize('num_images', [0, 1, 4])
@every_balancer
def test_keys_and_shapes(name, num_images):
    out = balance(build(name), *random_inputs(num_images))
    assert set(out) == {f'{kind}{part}' for kind in ('loss_', 'balance_') for part in PARTS}
    assert all(value.dim() == 0 and torch.isfinite(value) for value in out.values())
    assert all(out[f'balance_{part}'] >= 0 and not out[f'balance_{part}'].requires_grad for part in PARTS)


@every_balancer
def test_objective_is_the_sum_of_the_weighted_parts_and_nothing_else(name):
    out = balance(build(name), *random_inputs())
    total, log = BaseModel.parse_losses(torch.nn.Module(), out)
    torch.testing.assert_close(total, sum(out[f'loss_{part}'] for part in PARTS))
    assert {f'balance_{part}' for part in PARTS} <= set(log)


@every_balancer
def test_gradient_reaches_the_parts_and_every_parameter(name):
    balancer = build(name)
    # Not at the initial point: the decision network's last layer starts at zero and hides what is before it.
    for parameter in balancer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    parts, features = random_inputs()
    for value in parts.values():
        value.retain_grad()
    objective(balance(balancer, parts, features)).backward()
    assert all(torch.isfinite(value.grad).all() for value in parts.values())
    assert any(value.grad.abs().sum() > 0 for value in parts.values())
    for key, parameter in balancer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@every_balancer
def test_the_record_of_a_step_is_not_changed_by_the_next(name):
    balancer = build(name)
    records = []
    for step in range(4):
        out = balance(balancer, *random_inputs(seed=step))
        objective(out).backward()
        records.append((balancer.last, [value.clone() for value in balancer.last]))
        torch.testing.assert_close(balancer.last.weights, weights_of(out))
        with torch.no_grad():
            for parameter in balancer.parameters():
                parameter += 0.1 * parameter.grad
    for record, copies in records:
        assert all(torch.equal(value, copied) for value, copied in zip(record, copies))


@every_balancer
def test_resumed_run_equals_uninterrupted(name):
    def run(balancer, optimizer, steps):
        for step in steps:
            out = balance(balancer, *random_inputs(seed=step))
            if optimizer:
                optimizer.zero_grad()
                objective(out).backward()
                optimizer.step()
            history.append([float(value.detach()) for value in out.values()])

    def fresh():
        balancer = build(name)
        parameters = list(balancer.parameters())
        return balancer, torch.optim.SGD(parameters, lr=0.1, momentum=0.9) if parameters else None

    history = []
    balancer, optimizer = fresh()
    run(balancer, optimizer, range(10))
    uninterrupted, history = history, []

    balancer, optimizer = fresh()
    run(balancer, optimizer, range(5))
    file = io.BytesIO()
    torch.save((balancer.state_dict(), optimizer and optimizer.state_dict()), file)
    file.seek(0)
    model_state, optimizer_state = torch.load(file, weights_only=True)
    balancer, optimizer = fresh()
    torch.rand(3)  # the global random state of a resumed run is another one
    balancer.load_state_dict(model_state)
    if optimizer:
        optimizer.load_state_dict(optimizer_state)
    run(balancer, optimizer, range(5, 10))
    assert history == uninterrupted


@every_balancer
def test_works_under_autocast_in_fp32(name):
    balancer, (parts, features) = build(name), random_inputs()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = balance(copy.deepcopy(balancer), {key: value.bfloat16() for key, value in parts.items()}, features)
    exact = balance(balancer, {key: value.bfloat16().float() for key, value in parts.items()}, features)
    for key, value in out.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[key])


@every_balancer
def test_order_of_the_parts_does_not_matter(name):
    parts, features = random_inputs()
    first = balance(build(name), parts, features)
    second = balance(build(name), dict(reversed(list(parts.items()))), features)
    assert {key: value.item() for key, value in first.items()} == {key: value.item() for key, value in second.items()}


@every_balancer
def test_unknown_part_of_the_loss(name):
    parts, features = random_inputs()
    parts['mask'] = parts.pop('obj')
    with pytest.raises(
        ValueError, match=r"parts \['cls', 'coord', 'mask', 'noobj'\].*\['cls', 'coord', 'noobj', 'obj'\]"
    ):
        balance(build(name), parts, features)


@every_balancer
def test_wrong_shape_of_a_part(name):
    parts, features = random_inputs()
    parts['obj'] = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"one value per image.*'obj': \(4, 2\)"):
        balance(build(name), parts, features)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(base_weights=dict(coord=-1.0)), r"base_weights\['coord'\] must be a finite number >= 0, found -1.0"),
        (dict(base_weights=dict(coord=float('nan'))), r"base_weights\['coord'\].*found nan"),
        (dict(base_weights=dict(coord='5')), r"base_weights\['coord'\].*found '5'"),
        (dict(base_weights=dict(box=1.0)), r"names \['box'\], but the parts are"),
        (dict(parts=['loss_cls'], base_weights=None), r"'loss_cls' contains 'loss'.*Use 'cls'"),
        (dict(parts=['cls', 'cls'], base_weights=None), r"more than once: \['cls'\]"),
        (dict(parts=[], base_weights=None), 'no part is named'),
        (dict(base_weights=dict.fromkeys(PARTS, 0)), r'all base weights are 0|> 0, found 0'),
    ],
)
@every_balancer
def test_wrong_settings(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        build(name, **wrong)


# Methods that look at the value of a part: equal parts start at the base weights.
BY_VALUE = {'FAMOBalancer', 'GLSBalancer', 'LogBalancer', 'UWSOBalancer'}


# Left out: weights that are random, that the test's schedule has start elsewhere, or that the first step decides
@all_balancers_but('GraPBalancer', 'PaperSLFBalancer', 'RLWBalancer', 'SLFBalancer', 'ScheduledBalancer')
def test_starts_at_the_base_weights(name):
    inputs = constant_inputs([0.7] * 4) if name in BY_VALUE else random_inputs()
    torch.testing.assert_close(weights_of(balance(build(name), *inputs)), BASE)


@pytest.mark.parametrize('scale', [1e-8, 1e8])
@every_balancer
def test_finite_and_not_negative_for_tiny_and_huge_losses(name, scale):
    balancer = build(name)
    for step in range(8):
        out = balance(balancer, *random_inputs(seed=step, scale=scale if step % 2 else 1.0))
        assert all(torch.isfinite(value) and value >= 0 for value in out.values())
        objective(out).backward()


@pytest.mark.parametrize('step_of_zero', [0, 5])
@every_balancer
def test_a_part_that_is_zero_for_a_while(name, step_of_zero):
    balancer = build(name)
    for step in range(10):
        parts, features = random_inputs(seed=step)
        if step_of_zero <= step < step_of_zero + 3:
            parts['obj'] = parts['obj'] * 0
        out = balance(balancer, parts, features)
        assert all(torch.isfinite(value) and value >= 0 for value in out.values())
        (gradient,) = torch.autograd.grad(objective(out), features)
        assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


@every_balancer
def test_all_parts_zero(name):
    balancer = build(name)
    for step in range(5):
        parts, features = random_inputs(seed=step)
        out = balance(balancer, {key: value * 0 for key, value in parts.items()}, features)
        assert objective(out) == 0
        assert all(torch.isfinite(value) and value >= 0 for value in out.values())


@every_balancer
def test_one_part_alone(name):
    settings = dict(schedules={}) if name == 'ScheduledBalancer' else {}
    balancer = build(name, parts=['cls'], base_weights=dict(cls=2.0), **settings)
    for step in range(6):
        parts, features = random_inputs(seed=step)
        out = balance(balancer, dict(cls=parts['cls']), features)
        torch.testing.assert_close(out['balance_cls'], torch.tensor(2.0))
        torch.testing.assert_close(out['loss_cls'], 2 * parts['cls'].mean())


# Left out: base weights must be > 0, or only their sum counts
@all_balancers_but('LDCMTLBalancer', 'PaperSLFBalancer', 'SLFBalancer')
def test_a_part_of_base_weight_zero_stays_without_weight(name):
    balancer = build(name, base_weights=dict(BASE_WEIGHTS, obj=0.0))
    for step in range(6):
        out = balance(balancer, *random_inputs(seed=step))
        assert out['balance_obj'] == 0 and out['balance_cls'] > 0


@pytest.mark.parametrize('bad', [float('inf'), float('nan')])
@all_balancers_but('LDCMTLBalancer', 'PaperSLFBalancer', 'SLFBalancer')  # as above
def test_a_part_of_weight_zero_contributes_nothing_even_if_it_is_not_finite(name, bad):
    balancer = build(name, base_weights=dict(BASE_WEIGHTS, obj=0.0))
    for step in range(6):
        parts, features = random_inputs(seed=step)
        parts['obj'] = parts['obj'] + bad
        out = balance(balancer, parts, features)
        assert out['loss_obj'] == 0
        assert all(torch.isfinite(value) for value in out.values())
        (gradient,) = torch.autograd.grad(objective(out), features)
        assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


@every_balancer
def test_a_batch_with_nan_leaves_no_trace(name):
    balancer = build(name)
    for step in range(12):
        parts, features = random_inputs(seed=step)
        if step in (0, 4, 7):
            parts['cls'] = parts['cls'] * float('nan')
        out = balance(balancer, parts, features)
    assert all(torch.isfinite(value) for value in out.values())
    assert all(torch.isfinite(value).all() for value in balancer.state_dict().values())


@every_balancer
def test_two_losses_before_one_backward_pass(name):
    # As with labelled and unlabelled images: what a balancer remembers must not be what autograd saved.
    balancer = build(name)
    for step in range(0, 8, 2):
        sum(objective(balance(balancer, *random_inputs(seed=step + i))) for i in range(2)).backward()


@every_balancer
def test_nothing_is_remembered_in_eval_mode(name):
    balancer = build(name)
    for step in range(5):
        balance(balancer, *random_inputs(seed=step))
    balancer.eval()
    before = copy.deepcopy(balancer.state_dict())
    first, second = (balance(balancer, *random_inputs(seed=9)) for _ in range(2))
    assert {key: value.item() for key, value in first.items()} == {key: value.item() for key, value in second.items()}
    for key, value in balancer.state_dict().items():
        assert torch.equal(value, before[key]), key
    with torch.no_grad():
        balance(balancer, *random_inputs(seed=9))


# Left out: weights that are drawn for a position, and a discrepancy between neighbours
@all_balancers_but('LDCMTLBalancer', 'PaperSLFBalancer', 'RLWBalancer', 'SLFBalancer')
def test_parts_may_be_declared_in_any_order(name):
    order = ('noobj', 'cls', 'coord', 'obj')
    one, other = build(name), build(name, parts=order)
    for step in range(8):
        inputs = random_inputs(seed=step)
        first, second = balance(one, *inputs), balance(other, *inputs)
        for key, value in first.items():
            torch.testing.assert_close(value, second[key])


# The gradient of these parameters depends on the size of the losses; their weights in one step do not.
LEARNED = {'IMTLLBalancer', 'LDCMTLBalancer', 'PaperSLFBalancer', 'SLFBalancer', 'UncertaintyBalancer'}


@pytest.mark.parametrize('scale', [1e-3, 1e3])
@all_balancers_but('UWSOBalancer')
def test_weights_do_not_depend_on_the_unit_of_the_loss(name, scale):
    one, other = build(name), build(name)
    for step in range(1 if name in LEARNED else 8):
        first, second = balance(one, *random_inputs(seed=step)), balance(other, *random_inputs(seed=step, scale=scale))
        torch.testing.assert_close(weights_of(first), weights_of(second), rtol=1e-4, atol=1e-6)


# Their weights are constants or parameters within a step; all others see the values or count the steps.
@pytest.mark.parametrize('name', ['IMTLLBalancer', 'StaticBalancer', 'UncertaintyBalancer'])
def test_gradients_accumulate_over_halves_of_a_batch(name):
    def gradients(*batches):
        balancer, (parts, features) = build(name), random_inputs()
        for batch in batches:
            loss = objective(balance(balancer, {key: value[batch] for key, value in parts.items()}, features))
            (loss / len(batches)).backward(retain_graph=True)
        return [features.grad, *[parameter.grad for parameter in balancer.parameters()]]

    for one, two in zip(gradients(slice(0, 4)), gradients(slice(0, 2), slice(2, 4))):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize('num_images', [1, 4])
@all_balancers_but('LDCMTLBalancer', 'PaperSLFBalancer', 'SLFBalancer')  # these weigh image by image
def test_parts_per_image_or_their_means(name, num_images):
    by_image, by_mean = build(name), build(name)
    for step in range(6):
        parts, features = random_inputs(num_images, seed=step)
        first = balance(by_image, parts, features)
        second = balance(by_mean, {key: value.mean() for key, value in parts.items()}, features)
        for key, value in first.items():
            torch.testing.assert_close(value, second[key])

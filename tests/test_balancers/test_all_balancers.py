"""What holds for every registered balancer."""

import copy
import io

import pytest
import torch
from mmengine.model import BaseModel
from registry import PARTS, all_balancers, build, objective, random_context, random_parts

pytestmark = pytest.mark.parametrize('name', all_balancers())


@pytest.mark.parametrize('num_images', [0, 1, 4])
def test_keys_and_shapes(name, num_images):
    out = build(name)(random_parts(num_images), random_context(max(num_images, 1)))
    assert set(out) == {f'{kind}{part}' for kind in ('loss_', 'balance/') for part in PARTS}
    assert all(value.dim() == 0 and torch.isfinite(value) for value in out.values())
    assert all(out[f'balance/{part}'] >= 0 and not out[f'balance/{part}'].requires_grad for part in PARTS)


def test_objective_is_the_sum_of_the_weighted_parts_and_nothing_else(name):
    out = build(name)(random_parts(), random_context())
    total, log = BaseModel.parse_losses(torch.nn.Module(), out)
    torch.testing.assert_close(total, sum(out[f'loss_{part}'] for part in PARTS))
    assert {f'balance/{part}' for part in PARTS} <= set(log)


def test_gradient_reaches_the_parts_and_every_parameter(name):
    balancer = build(name)
    # Not at the initial point: the decision network's last layer starts at zero and hides what is before it.
    for parameter in balancer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    parts = {key: value.requires_grad_() for key, value in random_parts().items()}
    objective(balancer(parts, random_context())).backward()
    assert all(torch.isfinite(value.grad).all() for value in parts.values())
    assert any(value.grad.abs().sum() > 0 for value in parts.values())
    for key, parameter in balancer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


def test_resumed_run_equals_uninterrupted(name):
    def run(balancer, optimizer, steps):
        for step in steps:
            out = balancer(random_parts(seed=step), random_context(seed=step))
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


def test_works_under_autocast_in_fp32(name):
    balancer, parts, context = build(name), random_parts(), random_context()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = copy.deepcopy(balancer)({key: value.bfloat16() for key, value in parts.items()}, context.bfloat16())
    exact = balancer({key: value.bfloat16().float() for key, value in parts.items()}, context.bfloat16().float())
    for key, value in out.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[key])


def test_order_of_the_parts_does_not_matter(name):
    parts, context = random_parts(), random_context()
    first = build(name)(parts, context)
    second = build(name)(dict(reversed(list(parts.items()))), context)
    assert {key: value.item() for key, value in first.items()} == {key: value.item() for key, value in second.items()}


def test_unknown_part_of_the_loss(name):
    parts = random_parts()
    parts['mask'] = parts.pop('obj')
    with pytest.raises(
        ValueError, match=r"parts \['cls', 'coord', 'mask', 'noobj'\].*\['cls', 'coord', 'noobj', 'obj'\]"
    ):
        build(name)(parts, random_context())


def test_wrong_shape_of_a_part(name):
    parts = random_parts()
    parts['obj'] = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"one value per image.*'obj': \(4, 2\)"):
        build(name)(parts, random_context())


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
    ],
)
def test_wrong_settings(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        build(name, **wrong)

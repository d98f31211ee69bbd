"""The stochastic loss: mmdet's own semantics with one candidate, a learnt mixture with several."""

import io
import math

import pytest
import torch
from mmdet.registry import MODELS

C = 5
FIVE = [
    dict(type=name)
    for name in (
        'ClassMSELoss',
        'ClassMAELoss',
        'CategoricalHingeLoss',
        'CosineProximityLoss',
        'ProbabilityCrossEntropyLoss',
    )
]
CE = dict(type='CrossEntropyLoss')
BCE = dict(type='CrossEntropyLoss', use_sigmoid=True)


def build(candidates=FIVE, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='StochasticLoss', candidates=candidates, **{'context_dim': C, **kwargs}))


def scores(rows=12, seed=0, columns=C):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def labels(rows=12, seed=0, classes=C):
    return torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(seed))


WEIGHT = torch.tensor([1.0, 0.0, 2.0, 1.0, 0.5, 1.0] * 2)
CALLS = [
    {},
    dict(weight=WEIGHT),
    dict(weight=WEIGHT, avg_factor=7.0),
    dict(avg_factor=7.0),
    dict(weight=WEIGHT, reduction_override='sum'),
    dict(weight=WEIGHT, avg_factor=7.0, reduction_override='mean'),
]


@pytest.mark.parametrize('call', CALLS)
@pytest.mark.parametrize('config', [CE, BCE, dict(CE, loss_weight=2.0)])
def test_one_candidate_is_that_loss(config, call):
    plain = MODELS.build(config)
    loss = build([config], use_sigmoid=config.get('use_sigmoid', False))
    pred, target = scores(), labels()
    torch.testing.assert_close(loss(pred, target, **call), plain(pred, target, **call))


@pytest.mark.parametrize('call', CALLS)
def test_one_candidate_of_boxes_is_that_loss(call):
    boxes = torch.rand(12, 4, generator=torch.Generator().manual_seed(0))
    target = torch.rand(12, 4, generator=torch.Generator().manual_seed(1))
    if 'weight' in call:
        call = dict(call, weight=WEIGHT[:, None].expand(12, 4))
    for config in (dict(type='L1Loss'), dict(type='GIoULoss')):
        loss = build([config], context_dim=4)
        torch.testing.assert_close(loss(boxes, target, **call), MODELS.build(config)(boxes, target, **call))


def test_without_reduction_it_has_one_value_per_sample():
    pred, target = scores(), labels()
    found = build([BCE], use_sigmoid=True)(pred, target, WEIGHT, reduction_override='none')
    torch.testing.assert_close(found, MODELS.build(BCE)(pred, target, WEIGHT, reduction_override='none').sum(1))


def test_uniform_p_and_many_samples_are_the_mean_of_the_candidates():
    # Standard deviation of a weight: sqrt(0.2 * 0.8 / 20000) = 0.003
    pred, target = scores(), labels()
    mean = sum(MODELS.build(config)(pred, target, avg_factor=12) for config in FIVE) / 5
    torch.testing.assert_close(build(sampler='softmax')(pred, target, avg_factor=12), mean)
    sampled = build(num_samples=20_000)(pred, target, avg_factor=12)
    torch.testing.assert_close(sampled, mean, rtol=0.02, atol=0)


def test_value_is_equation_11():
    loss = build(num_samples=2)
    pred, target = scores(), labels()
    found = loss(pred, target, avg_factor=12)
    loss.counter.value = 0  # the same draw once more
    p_hat = loss._sample(loss._decide(pred))
    expected = 0.0
    for column, config in enumerate(FIVE):
        per_sample = MODELS.build(config)(pred, target, reduction_override='none').view(12, -1).sum(1)
        expected = expected + (p_hat[:, column] * per_sample).sum() / 12
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('kwargs', [{}, dict(num_samples=1), dict(hard=False), dict(sampler='softmax')])
def test_weights_of_every_sample_sum_to_one(kwargs):
    loss = build(**kwargs)
    torch.nn.init.normal_(loss.decision_network.output.weight)
    weights = loss._sample(loss._decide(scores(64)))
    torch.testing.assert_close(weights.sum(1), torch.ones(64))
    assert len(weights.unique(dim=0)) > 1  # of each sample its own


def test_starts_at_the_given_probabilities():
    loss = build(FIVE[:2], initial=[3, 1], sampler='softmax')
    loss(scores(), labels())
    torch.testing.assert_close(loss.last_weights, torch.tensor([0.75, 0.25]))


@pytest.mark.parametrize('kl_weight', [0.0, 0.5])
@pytest.mark.parametrize('detach', [False, True])
def test_gradient_reaches_the_prediction_and_every_parameter(detach, kl_weight):
    loss = build(detach_context=detach, kl_weight=kl_weight)
    for parameter in loss.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    pred = scores().requires_grad_()
    loss(pred, labels(), avg_factor=12).backward()
    assert torch.isfinite(pred.grad).all() and (pred.grad != 0).any()
    assert all((parameter.grad != 0).any() for parameter in loss.parameters())


def test_detached_context_leaves_the_prediction_the_gradient_of_the_candidates_alone():
    def gradient(**kwargs):
        loss, pred = build(FIVE[:2], sampler='softmax', **kwargs), scores().requires_grad_()
        torch.nn.init.normal_(loss.decision_network.output.weight)
        weights = loss._sample(loss._decide(pred)).detach()
        values = torch.stack(
            [MODELS.build(config)(pred, labels(), reduction_override='none').sum(1) for config in FIVE[:2]], dim=1
        )
        (alone,) = torch.autograd.grad((weights * values).sum(), pred)
        (found,) = torch.autograd.grad(loss(pred, labels(), reduction_override='sum'), pred)
        return found, alone

    torch.testing.assert_close(*gradient(detach_context=True))
    found, alone = gradient(detach_context=False)
    assert (found - alone).abs().max() > 1e-4


def test_learns_to_prefer_the_smaller_candidate_and_the_anchor_holds_it_back():
    # losses l and 3 l, goal (p_1 l + p_2 3 l) / 2 l + kappa KL(p || (1/2, 1/2)): p_1 / p_2 = exp(1 / kappa)
    candidates = [dict(CE, name='one'), dict(CE, name='three', loss_weight=3.0)]

    def weight_of_the_smaller(kl_weight):
        loss = build(candidates, sampler='softmax', kl_weight=kl_weight)
        optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
        for _ in range(200):
            optimizer.zero_grad()
            loss(torch.zeros(8, C), labels(8)).backward()
            optimizer.step()
        return loss.last_weights[0].item()

    assert weight_of_the_smaller(0.0) > 0.99
    e = torch.tensor(1 / 0.8).exp().item()
    assert weight_of_the_smaller(0.8) == pytest.approx(e / (1 + e), abs=0.01)


def test_by_default_no_candidate_is_given_up():
    candidates = [dict(CE, name='one'), dict(CE, name='thousand', loss_weight=1000.0)]
    loss = build(candidates, sampler='softmax')
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss(torch.zeros(8, C), labels(8)).backward()
        optimizer.step()
    # kappa = 20, and the costs of the two are 0.002 and 1.998 of that of equal weights
    assert loss.last_weights[1].item() == pytest.approx(1 / (1 + math.exp(1.996 / 20)), abs=1e-3)


def test_anchor_does_not_change_the_value():
    values = [build(kl_weight=kappa)(scores(), labels(), avg_factor=12) for kappa in (0.0, 2.0)]
    torch.testing.assert_close(*values)


def test_resumed_run_equals_uninterrupted():
    def run(loss, optimizer, steps):
        for step in steps:
            optimizer.zero_grad()
            value = loss(scores(seed=step), labels(seed=step))
            value.backward()
            optimizer.step()
            history.append(value.item())

    def fresh():
        loss = build(num_samples=1)
        return loss, torch.optim.SGD(loss.parameters(), lr=0.1, momentum=0.9)

    history = []
    run(*fresh(), range(10))
    uninterrupted, history = history, []
    loss, optimizer = fresh()
    run(loss, optimizer, range(5))
    file = io.BytesIO()
    torch.save((loss.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    loss, optimizer = fresh()
    torch.rand(3)
    loss.load_state_dict(states[0])
    optimizer.load_state_dict(states[1])
    run(loss, optimizer, range(5, 10))
    assert history == uninterrupted


def test_mean_weights_are_over_all_calls_since_the_last_time():
    loss = build(FIVE[:2], initial=[3, 1], num_samples=1)
    assert loss.mean_weights() == {}
    seen = []
    for rows in (1, 7):  # as over the levels of a feature pyramid
        loss(scores(rows), labels(rows))
        seen.append(rows * loss.last_weights)
    mean = loss.mean_weights()
    torch.testing.assert_close(torch.stack(list(mean.values())), sum(seen) / 8)
    assert list(mean) == ['ClassMSELoss', 'ClassMAELoss'] and loss.mean_weights() == {}


@pytest.mark.parametrize('kl_weight', [0.0, 0.5])
def test_no_sample_at_all(kl_weight):
    candidates = [dict(type='L1Loss'), dict(type='GIoULoss'), dict(type='SmoothL1Loss')]
    loss = build(candidates, context_dim=4, kl_weight=kl_weight)
    pred = torch.zeros(0, 4, requires_grad=True)
    value = loss(pred, torch.zeros(0, 4), torch.zeros(0, 4), avg_factor=1.0)
    value.backward()
    assert value == 0 and all(parameter.grad is not None for parameter in loss.parameters())
    assert loss.last_weights is None


def test_only_samples_of_weight_zero():
    boxes, candidates = torch.rand(8, 4), [dict(type='L1Loss'), dict(type='GIoULoss')]
    loss = build(candidates, context_dim=4)(boxes.requires_grad_(), torch.zeros(8, 4), torch.zeros(8, 4), avg_factor=1)
    loss.backward()
    assert loss == 0 and (boxes.grad == 0).all()


@pytest.mark.parametrize('kl_weight', [0.0, 0.5])
def test_half_precision_under_autocast_is_computed_in_fp32(kl_weight):
    pred = scores().bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = build(kl_weight=kl_weight)(pred, labels())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, build(kl_weight=kl_weight)(pred.float(), labels()))


def test_masks_are_those_of_the_given_class():
    mask_pred = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    mask_target = torch.randint(2, (3, 2, 2), generator=torch.Generator().manual_seed(0)).float()
    classes = torch.tensor([1, 3, 0])
    loss = build([BCE], use_mask=True, context_dim=4)
    plain = MODELS.build(dict(type='CrossEntropyLoss', use_mask=True))
    torch.testing.assert_close(loss(mask_pred, mask_target, classes), plain(mask_pred, mask_target, classes)[0])
    both = build([BCE, dict(type='DiceLoss')], use_mask=True, context_dim=4)
    assert torch.isfinite(both(mask_pred, mask_target, classes))


def test_what_candidates_tell_the_head_is_passed_on():
    config = dict(type='CrossEntropyCustomLoss', num_classes=C, use_sigmoid=False)
    loss = build([dict(config, name='a'), dict(config, name='b')], context_dim=C + 1)
    assert loss.custom_cls_channels and loss.get_cls_channels(C) == C + 1
    torch.testing.assert_close(loss.get_activation(scores(columns=C + 1)).sum(1), torch.ones(12))
    assert not build().custom_cls_channels
    with pytest.raises(ValueError, match="must have custom_cls_channels, found {'CrossEntropyCustomLoss': True, 'Cr"):
        build([config, CE], context_dim=C + 1)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(candidates=[]), r'candidates must be a list of at least one loss config, found \[\]'),
        (dict(candidates=[CE, CE]), r"share the names \['CrossEntropyLoss'\]. Give each a key name="),
        (dict(candidates=[BCE]), "use_sigmoid is False.*'CrossEntropyLoss' has use_sigmoid=True"),
        (dict(num_samples=0), r"StochasticLoss: num_samples \(the paper's K\) must be an integer >= 1, found 0"),
        (dict(tau=0.0), 'tau must be > 0, found 0.0'),
        (dict(sampler='gumble'), r"sampler must be one of \['gumbel', 'softmax'\], found 'gumble'"),
        (dict(initial='base'), "initial must be 'uniform' or 5 numbers > 0.*found 'base'"),
        (dict(initial=[1, 2]), r'initial.*found \[1, 2\]'),
        (dict(initial=[1, 1, 1, 1, 0]), 'initial must be'),
        (dict(kl_weight=-1.0), 'kl_weight must be a finite number >= 0, found -1.0'),
        (dict(reduction='avg'), "reduction must be one of .*found 'avg'"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_wrong_predictions_and_candidates_without_a_value_per_sample():
    with pytest.raises(ValueError, match=r'shape \(12, 6\) have 6 numbers per sample.*Set context_dim=6'):
        build()(scores(columns=6), labels())

    class AlwaysMean(torch.nn.Module):
        def forward(self, pred, target, weight, **kwargs):
            return pred.mean()

    with pytest.raises(ValueError, match=r"'AlwaysMean' must give a value per sample.*found the shape \(\)"):
        build([dict(type=AlwaysMean)])(scores(), labels())

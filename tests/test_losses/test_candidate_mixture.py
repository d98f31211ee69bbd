"""What both mixtures of candidates have in common: mmdet's own semantics with one candidate, a mixture with several."""

import io

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from .mixtures import BCE, CE, FIVE, SOFTMAX, AlwaysTheFirst, C, build, gumbel, labels, scores, values_of

MIXTURES = ('StochasticLoss', 'PaperStochasticLoss')
WEIGHT = torch.tensor([1.0, 0.0, 2.0, 1.0, 0.5, 1.0] * 2)
CALLS = [
    {},
    dict(weight=WEIGHT),
    dict(weight=WEIGHT, avg_factor=7.0),
    dict(avg_factor=7.0),
    dict(weight=WEIGHT, reduction_override='sum'),
    dict(weight=WEIGHT, avg_factor=7.0, reduction_override='mean'),
]
kinds = pytest.mark.parametrize('kind', MIXTURES)


@kinds
@pytest.mark.parametrize('call', CALLS)
@pytest.mark.parametrize('config', [CE, BCE, dict(CE, loss_weight=2.0)])
def test_one_candidate_is_that_loss(kind, config, call):
    plain = MODELS.build(config)
    loss = build(kind, [config], use_sigmoid=config.get('use_sigmoid', False))
    pred, target = scores(), labels()
    torch.testing.assert_close(loss(pred, target, **call), plain(pred, target, **call))


@kinds
@pytest.mark.parametrize('call', CALLS)
def test_one_candidate_of_boxes_is_that_loss(kind, call):
    boxes = torch.rand(12, 4, generator=torch.Generator().manual_seed(0))
    target = torch.rand(12, 4, generator=torch.Generator().manual_seed(1))
    if 'weight' in call:
        call = dict(call, weight=WEIGHT[:, None].expand(12, 4))
    for config in (dict(type='L1Loss'), dict(type='GIoULoss')):
        loss = build(kind, [config], feature_dim=4)
        torch.testing.assert_close(loss(boxes, target, **call), MODELS.build(config)(boxes, target, **call))


@kinds
def test_without_reduction_it_has_one_value_per_sample(kind):
    pred, target = scores(), labels()
    found = build(kind, [BCE], use_sigmoid=True)(pred, target, WEIGHT, reduction_override='none')
    torch.testing.assert_close(found, MODELS.build(BCE)(pred, target, WEIGHT, reduction_override='none').sum(1))


# A candidate of one value per sample and one of a value per class, at equal weights. Logits (log 3, 0) give p = (3/4,
# 1/4), the class is the second: the squared error is 9/16 for each of the two classes, the hinge 1 + 3/4 - 1/4 = 3/2.
BY_HAND = [
    ('sum', dict(reduction_override='none'), (9 / 8 + 3 / 2) / 2),
    ('mean', dict(reduction_override='none'), (9 / 16 + 3 / 2) / 2),
    ('sum', dict(avg_factor=4.0), (9 / 8 + 3 / 2) / 2 / 4),
    ('mean', dict(avg_factor=4.0), (9 / 16 + 3 / 2) / 2 / 4),
    ('sum', dict(reduction_override='sum'), (9 / 8 + 3 / 2) / 2),
    ('mean', dict(reduction_override='sum'), (9 / 16 + 3 / 2) / 2),
    # A mean without avg_factor is over all elements, as that of mmdet's losses
    ('sum', dict(), (9 / 16 + 3 / 2) / 2),
    ('mean', dict(), (9 / 16 + 3 / 2) / 2),
    # Weights of elements come before both: (9/16 + 0) / 2 in the mean
    ('mean', dict(reduction_override='none', weight=torch.tensor([[1.0, 0.0]])), (9 / 32 + 3 / 4) / 2),
]


@kinds
@pytest.mark.parametrize(('over_elements', 'call', 'expected'), BY_HAND)
def test_elements_of_a_sample_by_hand(kind, over_elements, call, expected):
    start = dict(start='uniform') if kind == 'PaperStochasticLoss' else {}
    candidates = [dict(type='ClassMSELoss'), dict(type='CategoricalHingeLoss')]
    loss = build(kind, candidates, feature_dim=2, sampler=SOFTMAX, over_elements=over_elements, **start)
    pred = torch.tensor([[3.0, 1.0]]).log()
    assert loss(pred, torch.tensor([1]), **call).item() == pytest.approx(expected)


@kinds
def test_many_samples_tend_to_the_probabilities(kind):
    # Standard deviation of a weight: sqrt(p (1 - p) / 20000) < 0.004
    pred, target = scores(), labels()
    found = build(kind, sampler=SOFTMAX)(pred, target, avg_factor=12)
    sampled = build(kind, sampler=gumbel(20_000))(pred, target, avg_factor=12)
    torch.testing.assert_close(sampled, found, rtol=0.02, atol=0)


@kinds
@pytest.mark.parametrize('sampler', [gumbel(3), gumbel(1), gumbel(3, hard=False), SOFTMAX], ids=str)
def test_weights_of_every_sample_sum_to_one(kind, sampler):
    loss = build(kind, sampler=sampler)
    nn.init.normal_(loss.decision_network.output.weight)
    weights = loss.sampler(loss.decision_network(scores(64)))
    torch.testing.assert_close(weights.sum(1), torch.ones(64))
    assert len(weights.unique(dim=0)) > 1  # of each sample its own
    loss(scores(64), labels(64))
    torch.testing.assert_close(loss.last_weights.sum(), torch.ones(()))


@kinds
def test_gradient_reaches_the_prediction_and_every_parameter(kind):
    loss = build(kind)
    for parameter in loss.parameters():
        nn.init.normal_(parameter, std=0.3)
    pred = scores().requires_grad_()
    loss(pred, labels(), avg_factor=12).backward()
    assert torch.isfinite(pred.grad).all() and (pred.grad != 0).any()
    assert all((parameter.grad != 0).any() for parameter in loss.parameters())


@kinds
@pytest.mark.parametrize('wrong', [float('inf'), float('nan')])
def test_a_candidate_of_weight_0_that_is_not_finite_contributes_0(kind, wrong):
    class NotFinite(nn.Module):
        def forward(self, pred, target, weight, **kwargs):
            return pred.sum(1) + wrong

    def results(candidates):
        loss = build(kind, candidates, sampler=AlwaysTheFirst())
        nn.init.zeros_(loss.decision_network.output.weight)  # equal probabilities with two and with three candidates
        pred = scores().requires_grad_()
        value = loss(pred, labels(), avg_factor=12)
        value.backward()
        return value, pred.grad, loss

    hinge = dict(type='CategoricalHingeLoss')
    value, gradient, loss = results([CE, hinge, dict(type=NotFinite)])
    expected, expected_gradient, _ = results([CE, hinge])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)
    assert all(parameter.grad.isfinite().all() for parameter in loss.parameters())


@kinds
def test_resumed_run_equals_uninterrupted(kind):
    def run(loss, optimizer, steps):
        for step in steps:
            optimizer.zero_grad()
            value = loss(scores(seed=step), labels(seed=step))
            value.backward()
            optimizer.step()
            history.append(value.item())

    def fresh():
        loss = build(kind, sampler=gumbel(1))
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


@kinds
def test_mean_weights_are_over_all_calls_since_the_last_time(kind):
    loss = build(kind, FIVE[:2], sampler=gumbel(1))
    assert loss.mean_weights() == {}
    seen = []
    for rows in (1, 7):  # as over the levels of a feature pyramid
        loss(scores(rows), labels(rows))
        seen.append(rows * loss.last_weights)
    mean = loss.mean_weights()
    torch.testing.assert_close(torch.stack(list(mean.values())), sum(seen) / 8)
    assert list(mean) == ['ClassMSELoss', 'ClassMAELoss'] and loss.mean_weights() == {}


@kinds
def test_no_sample_at_all(kind):
    loss = build(kind, [dict(type='L1Loss'), dict(type='GIoULoss'), dict(type='SmoothL1Loss')], feature_dim=4)
    pred = torch.zeros(0, 4, requires_grad=True)
    value = loss(pred, torch.zeros(0, 4), torch.zeros(0, 4), avg_factor=1.0)
    value.backward()
    assert value == 0 and loss.last_weights is None
    # not None, which DistributedDataParallel takes for an unused parameter
    assert all(parameter.grad is not None and (parameter.grad == 0).all() for parameter in loss.parameters())


@kinds
def test_only_samples_of_weight_zero(kind):
    boxes, loss = torch.rand(8, 4), build(kind, [dict(type='L1Loss'), dict(type='GIoULoss')], feature_dim=4)
    value = loss(boxes.requires_grad_(), torch.zeros(8, 4), torch.zeros(8, 4), avg_factor=1)
    value.backward()
    assert value == 0 and (boxes.grad == 0).all()


@kinds
def test_half_precision_under_autocast_is_computed_in_fp32(kind):
    pred = scores().bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = build(kind)(pred, labels())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, build(kind)(pred.float(), labels()))


@kinds
def test_masks_are_those_of_the_given_class(kind):
    mask_pred = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    mask_target = torch.randint(2, (3, 2, 2), generator=torch.Generator().manual_seed(0)).float()
    classes = torch.tensor([1, 3, 0])
    loss = build(kind, [BCE], use_mask=True, feature_dim=4)
    plain = MODELS.build(dict(type='CrossEntropyLoss', use_mask=True))
    torch.testing.assert_close(loss(mask_pred, mask_target, classes), plain(mask_pred, mask_target, classes)[0])
    both = build(kind, [BCE, dict(type='DiceLoss')], use_mask=True, feature_dim=4)
    assert torch.isfinite(both(mask_pred, mask_target, classes))
    with pytest.raises(ValueError, match='Class labels must be from 0 to 3, found 4'):
        loss(mask_pred, mask_target, classes + 1)
    with pytest.raises(ValueError, match='use_mask=True needs the class of each mask as third argument.*found None'):
        loss(mask_pred, mask_target)


@kinds
def test_what_candidates_define_for_the_head_is_passed_on(kind):
    config = dict(type='CrossEntropyCustomLoss', num_classes=C, use_sigmoid=False)
    loss = build(kind, [dict(config, name='a'), dict(config, name='b')], feature_dim=C + 1)
    assert loss.custom_cls_channels and loss.get_cls_channels(C) == C + 1
    torch.testing.assert_close(loss.get_activation(scores(columns=C + 1)).sum(1), torch.ones(12))
    assert not build(kind).custom_cls_channels
    with pytest.raises(ValueError, match="must have custom_cls_channels, found {'CrossEntropyCustomLoss': True, 'Cr"):
        build(kind, [config, CE], feature_dim=C + 1)


@kinds
@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(candidates=[]), r'candidates must be a list of at least one loss config, found \[\]'),
        (dict(candidates=[CE, CE]), r"share the names \['CrossEntropyLoss'\]. Give each a key name="),
        (dict(candidates=[BCE]), "use_sigmoid is False.*'CrossEntropyLoss' has use_sigmoid=True"),
        (dict(feature_dim=0), 'feature_dim must be an integer >= 1, found 0'),
        (dict(hidden_dim=0), 'hidden_dim must be an integer >= 1, found 0'),
        (dict(sampler=gumbel(0)), r"num_samples \(the paper's K\) must be an integer >= 1, found 0"),
        (dict(sampler=gumbel(3, tau=0.0)), 'tau must be > 0, found 0.0'),
        (dict(sampler=dict(type='Gumble')), r"sampler.type must be one of \[.*'Softmax'.*\], found 'Gumble'"),
        (dict(sampler='softmax'), r"sampler must be a dict as dict\(type='.*found 'softmax'"),
        (dict(over_elements='max'), r"over_elements must be one of \['sum', 'mean'\], found 'max'"),
        (dict(reduction='avg'), "reduction must be one of .*found 'avg'"),
    ],
)
def test_wrong_settings(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        build(kind, **wrong)


@kinds
def test_wrong_predictions_and_candidates_without_a_value_per_sample(kind):
    with pytest.raises(ValueError, match=r'shape \(12, 6\) have 6 numbers per sample.*Set feature_dim=6'):
        build(kind)(scores(columns=6), labels())

    class AlwaysMean(nn.Module):
        def forward(self, pred, target, weight, **kwargs):
            return pred.mean()

    with pytest.raises(ValueError, match=r"'AlwaysMean' must give a value per sample.*found the shape \(\)"):
        build(kind, [dict(type=AlwaysMean)])(scores(), labels())


@kinds
def test_value_is_equation_11(kind):
    """The sum of the candidates' values, each times its sampled weight."""
    loss = build(kind, sampler=gumbel(2))
    pred, target = scores(), labels()
    p_hat = loss.eval().sampler(loss.decision_network(pred))  # in evaluation mode the draw of the next step
    found = loss.train()(pred, target, avg_factor=12)
    expected = sum(p_hat[j, i] * values_of(FIVE, pred, target)[j, i] for j in range(12) for i in range(5)) / 12
    torch.testing.assert_close(found, expected)

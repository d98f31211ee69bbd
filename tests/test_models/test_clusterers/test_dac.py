"""DeepAdaptiveClusterer: the loss by a loop over pairs, what the candidates are on pairs, and the thresholds."""

import math
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import HOOKS, MODELS

from slf_mmdet.models.clusterers import labelled_pairs, pair_similarities

EYE = dict(type='torch.nn.Identity')  # a network whose images are the probabilities
CANDIDATES = [
    dict(type='ClassMSELoss'),
    dict(type='ClassMAELoss'),
    dict(type='CategoricalHingeLoss'),
    dict(type='CosineProximityLoss'),
    dict(type='ProbabilityCrossEntropyLoss'),
]


def build(**settings):
    model = MODELS.build(dict(type='DeepAdaptiveClusterer', network=EYE, **settings))
    model.set_epoch(0)
    return model


def scores(count=12, clusters=4, seed=0):
    return (3 * torch.randn(count, clusters, generator=torch.Generator().manual_seed(seed))).softmax(1)


def loop(probabilities, lower, upper, loss):
    """Mean over all pairs of the loss of those with a label; numbers of Python and one pair at a time."""
    rows = probabilities.tolist()
    total, pairs = 0.0, 0
    for i, first in enumerate(rows):
        for second in rows[i + 1 :]:
            pairs += 1
            s = sum(a * b for a, b in zip(first, second)) / math.hypot(*first) / math.hypot(*second)
            if s > upper:
                total += loss(s)
            elif s < lower:
                total += loss(1 - s)
    return total / pairs


# Of the probability p that a pair has of its label: Keras's formulas over the vectors (1 - p, p) and (0, 1), summed
OF_LABEL = dict(
    CrossEntropyLoss=lambda p: -math.log(p),
    ClassMSELoss=lambda p: 2 * (1 - p) ** 2,
    ClassMAELoss=lambda p: 2 * (1 - p),
    CategoricalHingeLoss=lambda p: 1 + (1 - p) - p,
    CosineProximityLoss=lambda p: 1 - p / math.hypot(p, 1 - p),
    ProbabilityCrossEntropyLoss=lambda p: -2 * math.log(p),
)


@pytest.mark.parametrize('name', OF_LABEL)
@pytest.mark.parametrize('epoch', [0, 20, 60])
def test_loss_equals_a_loop_over_the_pairs(name, epoch):
    model, images = build(loss=dict(type=name)), scores()
    model.set_epoch(epoch)
    expected = loop(images, *model.thresholds, OF_LABEL[name])
    assert expected > 0
    assert model(images, mode='loss')['loss'].item() == pytest.approx(expected, rel=1e-5)


def test_the_authors_form_has_the_same_gradient():
    """Mean over the N x N matrix of masked -log s and -log(1 - s): (N - 1) / N of ours, which counts a pair once."""
    images = scores().requires_grad_()
    feature = images / images.norm(dim=1, keepdim=True)
    s = feature @ feature.T
    different = -(1 - s).clamp_min(1e-10).log()
    theirs = torch.where(s > 0.95, -s.log(), torch.where(s < 0.455, different, torch.zeros(()))).mean()
    ours = build()(images, mode='loss')['loss']
    share = (len(images) - 1) / len(images)
    torch.testing.assert_close(theirs, share * ours)
    (expected,), (found,) = torch.autograd.grad(theirs, images), torch.autograd.grad(ours, images)
    torch.testing.assert_close(expected, share * found)


def test_hinge_is_absolute_error_and_binary_cross_entropy_is_twice_that_of_the_authors():
    """On two columns that sum to 1; so a comparison need not have both of either pair."""
    losses = {name: build(loss=dict(type=name))(scores(), mode='loss')['loss'] for name in OF_LABEL}
    torch.testing.assert_close(losses['CategoricalHingeLoss'], losses['ClassMAELoss'])
    torch.testing.assert_close(losses['ProbabilityCrossEntropyLoss'], 2 * losses['CrossEntropyLoss'])


def test_a_mixture_at_equal_weights_is_the_mean_of_the_candidates():
    mixture = dict(type='StochasticLoss', candidates=CANDIDATES, sampler=dict(type='Softmax'))
    found = build(loss=mixture)(scores(), mode='loss')['loss']
    single = [build(loss=candidate)(scores(), mode='loss')['loss'] for candidate in CANDIDATES]
    torch.testing.assert_close(found, torch.stack(single).mean())


@pytest.mark.parametrize('kind', ['StochasticLoss', 'PaperStochasticLoss'])
def test_the_decision_network_sees_which_column_is_larger(kind):
    """Its input is normalised, and of two numbers only the sign of the difference remains."""
    torch.manual_seed(0)
    loss = build(loss=dict(type=kind, candidates=CANDIDATES)).loss_module
    assert loss.feature_dim == 2
    torch.nn.init.normal_(loss.decision_network.output.weight)
    logits, _ = labelled_pairs(torch.tensor([0.02, 0.2, 0.4, 0.96, 0.999]), 0.5, 0.5)
    p = loss.decision_network(logits)
    torch.testing.assert_close(p[0].expand(3, 5), p[:3], atol=1e-3, rtol=0)
    torch.testing.assert_close(p[3], p[4], atol=1e-3, rtol=0)
    assert (p[0] - p[3]).abs().max() > 0.1


def test_a_batch_without_a_labelled_pair_has_a_loss_of_zero_with_a_gradient():
    images = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.6, 0.4]], requires_grad=True)  # s from .73 to .94
    for loss in (dict(type='CrossEntropyLoss'), dict(type='StochasticLoss', candidates=CANDIDATES)):
        outputs = build(loss=loss)(images, mode='loss')
        assert outputs['loss'] == 0 and outputs['pairs_same'] == outputs['pairs_different'] == 0
        outputs['loss'].backward()
        assert not images.grad.any()


def test_shares_of_the_pairs():
    # [1 0] three times and [0 1]: 3 of 6 pairs are equal, 3 orthogonal
    images = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    outputs = build()(images, mode='loss')
    assert outputs['pairs_same'] == outputs['pairs_different'] == 0.5
    assert outputs['loss'] == pytest.approx(0, abs=1e-5)


def test_certain_pairs_are_finite():
    logits, labels = labelled_pairs(torch.tensor([0.0, 1.0, 1 + 1e-7]), 0.455, 0.95)
    assert logits.isfinite().all() and labels.tolist() == [0, 1, 1]
    images = torch.eye(3).requires_grad_()
    build()(images, mode='loss')['loss'].backward()
    assert images.grad.isfinite().all()


def test_half_precision_is_computed_in_fp32():
    images = scores()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert pair_similarities(images.bfloat16()).dtype == torch.float32
        torch.testing.assert_close(pair_similarities(images), pair_similarities(images.double()).float())


def test_thresholds_of_the_paper():
    model = build()
    # u = .95 - lambda, l = .455 + .1 lambda; lambda = .0099 an epoch. They meet at lambda = .45: in the 47th epoch
    assert model.thresholds_at(0) == (0.455, 0.95)
    assert model.thresholds_at(10) == pytest.approx((0.4649, 0.851))
    lower, upper = model.thresholds_at(45)
    assert (lower, upper) == pytest.approx((0.49955, 0.5045)) and lower < upper
    assert model.thresholds_at(46) == model.thresholds_at(1000) == pytest.approx((0.5, 0.5))


def test_the_hook_of_mmdet_sets_them():
    model, hook = build(), HOOKS.build(dict(type='SetEpochInfoHook'))
    hook.before_train_epoch(SimpleNamespace(model=model, epoch=7))
    assert model.thresholds == model.thresholds_at(7) != model.thresholds_at(0)


def test_predicts_the_most_probable_cluster():
    images, samples = scores(count=3), [SimpleNamespace() for _ in range(3)]
    found = build()(images, samples, mode='predict')
    assert [sample.pred_label.tolist() for sample in found] == images.argmax(1, keepdim=True).tolist()
    torch.testing.assert_close(torch.stack([sample.pred_score for sample in found]), images)
    torch.testing.assert_close(build()(images), images)


def test_learns_groups_of_vectors():
    """Three groups in five clusters at first: the pairs alone bring them together."""
    torch.manual_seed(0)
    truth = torch.arange(90) % 3
    images = 4 * torch.eye(3)[truth] + torch.randn(90, 3)
    model = build(step=0.02)
    model.network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Softmax(1))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.02, alpha=0.9)
    for epoch in range(30):
        model.set_epoch(epoch)
        for batch in images.split(30):
            optimizer.zero_grad()
            model(batch, mode='loss')['loss'].backward()
            optimizer.step()
    together = truth[:, None] == truth
    clusters = model(images).argmax(1)
    agreement = ((clusters[:, None] == clusters) == together).float().mean()
    assert agreement > 0.9


def test_constant_features():
    with pytest.raises(ValueError, match='DeepAdaptiveClusterer: the 4 images of a batch have the same label feature'):
        build()(torch.full((4, 3), 1 / 3), mode='loss')


def test_one_image_makes_no_pair():
    with pytest.raises(ValueError, match='a batch must have at least two images to make a pair, found 1.*drop_last'):
        build()(scores(count=1), mode='loss')


@pytest.mark.parametrize('mode', ['train', 'predict'])
def test_unknown_mode_or_no_samples_to_predict_for(mode):
    with pytest.raises(ValueError, match=f"'loss', or 'predict' with data_samples, found '{mode}"):
        build()(scores(), mode=mode)


def test_without_the_hook():
    model = MODELS.build(dict(type='DeepAdaptiveClusterer', network=EYE))
    with pytest.raises(ValueError, match=r"the epoch is not known. Add dict\(type='mmdet.SetEpochInfoHook'\)"):
        model(scores(), mode='loss')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(lower=0), r'lower must be in \(0, 1\), found 0'),
        (dict(lower=0.5, upper=0.5), r'upper must be in \(lower, 1\) = \(0.5, 1\), found 0.5'),
        (dict(upper=1), 'upper must be in .*, found 1'),
        (dict(step=0), 'step must be a finite number > 0, found 0'),
    ],
    ids=str,
)
def test_invalid_settings(settings, message):
    with pytest.raises(ValueError, match=f'DeepAdaptiveClusterer: {message}'):
        build(**settings)

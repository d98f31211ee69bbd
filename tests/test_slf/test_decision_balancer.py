"""What SLFBalancer, PaperSLFBalancer and LDCMTLBalancer have in common."""

import pytest
import torch
from mmdet.registry import MODELS

from slf_mmdet.balancers import Step
from slf_mmdet.slf import DecisionBalancer
from slf_mmdet.utils.config import registered

from ..test_balancers.registry import BASE, FEATURE_DIM, PARTS, build, offered, random_features, random_inputs

DECISION_BALANCERS = registered(DecisionBalancer)
every_balancer = pytest.mark.parametrize('name', DECISION_BALANCERS)
SAMPLING = pytest.mark.parametrize('name', sorted(set(DECISION_BALANCERS) - {'LDCMTLBalancer'}))


def one_sample(name, **kwargs):
    """A balancer that selects one part, where it samples at all."""
    sampler = {} if name == 'LDCMTLBalancer' else dict(sampler=dict(type='MultipleGumbelSoftmax', num_samples=1))
    return build(name, **sampler, **kwargs)


def decide(balancer, num_images=16, seed=0, by_image=True):
    """The weights of a step."""
    parts, features = random_inputs(num_images, seed)
    losses = torch.stack([parts[name] for name in PARTS], dim=-1)
    return balancer.compute_weights(Step(losses if by_image else losses.mean(0), PARTS, features, **offered(features)))


def test_all_are_found():
    assert DECISION_BALANCERS == ['LDCMTLBalancer', 'PaperSLFBalancer', 'SLFBalancer']


@every_balancer
@pytest.mark.parametrize('settings', [{}, dict(base_weights=None), dict(granularity='batch')])
def test_selective_code_is_the_weights_of_equation_2(name, settings):
    balancer = one_sample(name, **settings)
    assert balancer.selective_code is None
    for step in range(3):
        weights = decide(balancer, seed=step).weights
        a, b = balancer.selective_code
        assert torch.equal(a * b, weights / balancer.total_weight)
        assert set(a.unique().tolist()) <= {0.0, 1.0} and torch.equal(a == 1, weights > 0)
        torch.testing.assert_close((a * b).sum(1), torch.ones(len(weights)))  # Eq. 2
        assert not a.requires_grad and not b.requires_grad


@SAMPLING
def test_one_sample_selects_one_part_and_several_mix_them(name):
    balancer = one_sample(name)
    decide(balancer)
    assert balancer.selective_code.a.sum(1).tolist() == [1] * 16
    assert balancer.selective_code.b.max(1).values.tolist() == [1] * 16
    several = build(name, sampler=dict(type='MultipleGumbelSoftmax', num_samples=3))
    decide(several)
    assert several.selective_code.a.sum(1).max() > 1


@every_balancer
@pytest.mark.parametrize('by_image', [True, False], ids=['by_image', 'scalars'])
@pytest.mark.parametrize('granularity', ['image', 'batch'])
def test_granularity(name, granularity, by_image):
    balancer = one_sample(name, granularity=granularity)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    weights = decide(balancer, by_image=by_image).weights
    own = granularity == 'image' and by_image
    assert weights.shape == (16 if own else 1, 4)
    assert (len(weights.detach().unique(dim=0)) > 1) == own


@every_balancer
def test_one_set_of_weights_is_that_of_the_mean_features(name):
    sampler = {} if name == 'LDCMTLBalancer' else dict(sampler=dict(type='Softmax'))
    balancer = build(name, granularity='batch', **sampler)
    torch.nn.init.normal_(balancer.decision_network.output.weight)
    features = random_features(8)
    output = balancer.decision_network(features.mean(0, keepdim=True))
    weights = decide(balancer, num_images=8).weights
    torch.testing.assert_close(weights, balancer.mean_weights(output))


@every_balancer
def test_mean_weights_are_those_that_the_samples_have_on_average(name):
    balancer = build(name).eval()
    torch.nn.init.normal_(balancer.decision_network.output.weight, std=3.0)
    features = random_features(1).expand(3000, FEATURE_DIM)
    expected = balancer.mean_weights(balancer.decision_network(features[:1]))[0]
    weights = balancer.compute_weights(Step(torch.ones(3000, 4), PARTS, features, training=False)).weights
    # of K samples each has a standard deviation of at most W / 2 sqrt(K), K = 3 or 30
    torch.testing.assert_close(weights.mean(0), expected, atol=5 * 7.5 / 2 / (3 * 3000) ** 0.5, rtol=0)
    assert (expected - BASE).abs().max() > 0.1


@every_balancer
def test_reset_starts_the_decision_network_again(name):
    balancer, fresh = build(name), build(name)
    with torch.no_grad():
        balancer.decision_network.output.bias += torch.tensor([0.0, 0.0, 0.0, 60.0])
    far = balancer.mean_weights(balancer.decision_network(random_features()))
    balancer.reset()
    torch.manual_seed(0)
    weights, expected = (one.mean_weights(one.decision_network(random_features())) for one in (balancer, fresh))
    if name == 'PaperSLFBalancer':  # another random start
        assert weights[:, 3].max() < 7 < far[:, 3].min()
    else:
        torch.testing.assert_close(weights, expected)
        assert (far - expected).abs().max() > 1


@every_balancer
def test_wrong_features(name):
    parts, _ = random_inputs()
    with pytest.raises(ValueError, match=rf'{name}: features must be of shape \(N, {FEATURE_DIM}\), found None'):
        build(name)(parts)
    with pytest.raises(ValueError, match=r'found \(4, 3\)'):
        build(name)(parts, torch.zeros(4, 3))
    with pytest.raises(ValueError, match=rf'found \({FEATURE_DIM},\)'):
        build(name)(parts, torch.zeros(FEATURE_DIM))


@every_balancer
@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(granularity='pixel'), r"{name}: granularity must be one of \['image', 'batch'\], found 'pixel'"),
        (dict(feature_dim=None), '{name}: feature_dim, .* must be given. YOLOV1Head and BalancedDetector fill it in'),
        (dict(hidden_dim=0), 'hidden_dim must be an integer >= 1, found 0'),
    ],
)
def test_wrong_settings(name, wrong, message):
    with pytest.raises(ValueError, match=message.format(name=name)):
        build(name, **wrong)


@SAMPLING
def test_wrong_sampler(name):
    choices = r"\['MultipleGumbelSoftmax', 'Softmax', 'StratifiedGumbelSoftmax'\]"
    with pytest.raises(ValueError, match=rf"^{name}.sampler.type must be one of {choices}, found 'Gumbel'"):
        build(name, sampler=dict(type='Gumbel'))
    with pytest.raises(ValueError, match=rf"^{name}.sampler must be a dict as .* found 'Softmax'"):
        MODELS.build(dict(type=name, sampler='Softmax', base_weights=dict(a=1.0), feature_dim=3))

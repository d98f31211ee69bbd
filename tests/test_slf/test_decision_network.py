"""The decision network against its layers written out, and where it starts."""

import math

import pytest
import torch

from slf_mmdet.slf import DecisionNetwork

INITIAL = torch.tensor([0.5, 0.3, 0.2])


def features(number=8, seed=0):
    return torch.randn(number, 6, generator=torch.Generator().manual_seed(seed))


def started(network):
    """Its last layer away from the start, where it hides what is before it."""
    network.output.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    return network


def test_equals_its_layers_written_out():
    torch.manual_seed(0)
    network = started(DecisionNetwork(6, 3, hidden_dim=5, initial=INITIAL)).double()
    weights = {key: value.tolist() for key, value in network.state_dict().items()}

    def linear(layer, x):
        rows = zip(weights[f'{layer}.weight'], weights[f'{layer}.bias'])
        return [sum(w * value for w, value in zip(row, x)) + bias for row, bias in rows]

    for x, ours in zip(features().double().tolist(), network(features())):
        mean = sum(x) / 6
        deviation = math.sqrt(sum((value - mean) ** 2 for value in x) / 6 + 1e-5)
        hidden = linear('hidden', [(value - mean) / deviation / math.sqrt(6) for value in x])
        logits = linear('output', [(value if value > 0 else 0.1 * value) / math.sqrt(5) for value in hidden])
        total = sum(math.exp(logit) for logit in logits)
        assert ours.tolist() == pytest.approx([logit - math.log(total) for logit in logits], abs=1e-9)


def test_starts_at_the_initial_probabilities_for_every_input():
    network = DecisionNetwork(6, 3, initial=INITIAL)
    torch.testing.assert_close(network(features()).exp(), INITIAL.expand(8, 3))


def test_a_random_start_differs_between_inputs_and_between_parts():
    torch.manual_seed(0)
    p = DecisionNetwork(6, 3)(features(64)).exp()
    assert p.std(0).min() > 0.02
    torch.testing.assert_close(p.sum(1), torch.ones(64))


@pytest.mark.parametrize('initial', [INITIAL, None], ids=['initial', 'random'])
def test_reset_starts_again(initial):
    torch.manual_seed(0)
    network = DecisionNetwork(6, 3, initial=initial)
    with torch.no_grad():
        network.output.weight.fill_(50.0)
        network.output.bias.copy_(torch.tensor([40.0, 0.0, -40.0]))
    hidden = network.hidden.weight.clone()
    assert network(features()).exp().max() > 0.999
    network.reset()
    assert network(features(64)).exp().mean(0).max() < 0.6
    assert torch.equal(network.hidden.weight, hidden)
    if initial is not None:
        torch.testing.assert_close(network(features()).exp(), INITIAL.expand(8, 3))


def test_scale_and_offset_of_the_features_do_not_matter():
    network = started(DecisionNetwork(6, 3, initial=INITIAL))
    torch.testing.assert_close(network(1e4 * features() + 1e3), network(features()), rtol=1e-3, atol=1e-3)


def test_input_of_another_dtype():
    network = started(DecisionNetwork(6, 3))
    assert network(features().half()).dtype == torch.float32
    assert network.double()(features()).dtype == torch.float64


def test_a_checkpoint_does_not_carry_where_it_starts():
    network = DecisionNetwork(6, 3, initial=INITIAL)
    assert set(network.state_dict()) == {
        f'{layer}.{kind}' for layer in ('hidden', 'output') for kind in ('weight', 'bias')
    }


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(feature_dim=0), 'DecisionNetwork: feature_dim must be an integer >= 1, found 0'),
        (dict(feature_dim='6'), "feature_dim must be an integer >= 1, found '6'"),
        (dict(hidden_dim=1.5), 'DecisionNetwork: hidden_dim must be an integer >= 1, found 1.5'),
    ],
)
def test_wrong_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        DecisionNetwork(**{**dict(feature_dim=6, num_parts=3), **kwargs})

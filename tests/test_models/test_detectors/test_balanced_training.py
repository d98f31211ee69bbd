"""BalancedDetector around nine detectors of mmdet: they learn, the weights move, predictions are untouched."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import OptimWrapper

from .tiny_detectors import FILES, batch, build, tiny_model, unbalanced

STEPS = 16
pytestmark = pytest.mark.parametrize('name', FILES)


@pytest.fixture(scope='module')
def data(digits):
    return batch(digits)


def train(model, data, steps):
    torch.manual_seed(0)  # dropout, and samples of proposals
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=2e-3), clip_grad=dict(max_norm=10))
    return [model.train_step(copy.deepcopy(data), wrapper) for _ in range(steps)]


def results(model, data):
    """Everything that predictions hold, as a flat list of tensors."""
    model.eval()
    with torch.no_grad():
        samples = model.test_step(copy.deepcopy(data))
    found = [sample.pred_instances for sample in samples]
    return [instances[key] for instances in found for key in sorted(instances.keys())]


def test_trains(name, data):
    cfg = tiny_model(name)
    # In so few steps some detectors have no average precision yet; p itself shows the smallest change of the weights
    cfg.loss_balancer.update(signal=dict(type='LossRate'), sampler=dict(type='Softmax'))
    model = build(cfg)
    before = copy.deepcopy(model.loss_balancer.state_dict())
    logs = train(model.train(), data, STEPS)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for log in logs for value in log.values())
    parts = model.loss_balancer.parts
    losses = [sum(float(log[f'loss_{part}'] / log[f'balance_{part}']) for part in parts) for log in logs]  # unweighted
    assert sum(losses[-4:]) < 0.95 * sum(losses[:4])
    after = model.loss_balancer.state_dict()
    assert not torch.equal(after['decision_network.output.bias'], before['decision_network.output.bias'])
    weights = torch.tensor([[log[f'balance_{part}'] for part in parts] for log in logs])
    assert (weights.std(0) > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.full((STEPS,), float(weights.shape[1])))  # all is given away
    assert {key for key in logs[0] if 'loss' in key} == {'loss', *(f'loss_{part}' for part in parts)}


def test_static_weights_give_the_total_of_the_plain_detector(name, data):
    cfg = tiny_model(name)
    cfg.loss_balancer.type = 'StaticBalancer'
    balanced, plain = build(cfg), build(unbalanced(cfg))
    ours, theirs = (train(model.train(), data, 2) for model in (balanced, plain))
    for our, their in zip(ours, theirs):
        torch.testing.assert_close(our['loss'], their['loss'], rtol=1e-5, atol=1e-6)
        assert {k: v for k, v in our.items() if 'acc' in k} == {k: v for k, v in their.items() if 'acc' in k}


def test_predictions_are_those_of_the_plain_detector_to_the_bit(name, data):
    cfg = tiny_model(name)
    balanced, plain = build(cfg), MODELS.build(unbalanced(cfg))
    state = balanced.state_dict()
    plain.load_state_dict({key: value for key, value in state.items() if not key.startswith('loss_balancer.')})
    ours, theirs = results(balanced, data), results(plain, data)
    assert len(ours) == len(theirs) > 0
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))
    inputs = plain.data_preprocessor(copy.deepcopy(data), training=False)
    with torch.no_grad():
        ours, theirs = (flat(model(**copy.deepcopy(inputs), mode='tensor')) for model in (balanced, plain))
    assert len(ours) == len(theirs) > 0
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


def flat(output):
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else ()
    return [tensor for value in values for tensor in flat(value)]

"""GraphRegressor: losses by hand, the unit of its predictions, what it learns, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import DATASETS
from mmengine.structures import BaseDataElement

from slf_mmdet.losses import AdaptiveRobustLoss, StochasticLoss
from slf_mmdet.models import GraphRegressor

NODES = 9


@DATASETS.register_module()
class _Matrix:
    """Stands for the data set that a config names."""

    def __init__(self, seed=0, constant=False):
        rng = np.random.default_rng(seed)
        self.features = rng.random((40, NODES)).astype(np.float32)
        self.targets = np.full(40, 5.0) if constant else 100 + 30 * (self.features[:, 0] - self.features[:, 3])

    def matrix(self):
        return self.features, self.targets


def build(loss='MSELoss', layer='ChebConv', seed=0, **settings):
    torch.manual_seed(0)
    data = dict(type='_Matrix', **{key: settings.pop(key) for key in ('constant',) if key in settings}, seed=seed)
    return GraphRegressor(
        training_set=data,
        layer=None if layer is None else dict(type=layer),
        **{
            'channels': (2, 3),
            'hidden_channels': (8,),
            'num_neighbors': 3,
            'loss': loss if isinstance(loss, dict) else dict(type=loss),
            **settings,
        },
    )


def batch(count=40):
    data = _Matrix()
    return dict(
        inputs=list(torch.from_numpy(data.features[:count])),
        data_samples=[
            BaseDataElement(gt_value=torch.tensor(value, dtype=torch.float32)) for value in data.targets[:count]
        ],
    )


def standardized(count=40):
    targets = torch.from_numpy(_Matrix().targets)
    return ((targets - targets.mean()) / targets.std(correction=0))[:count].float().unsqueeze(1)


@pytest.mark.parametrize(
    ('loss', 'formula'),
    [
        ('MSELoss', F.mse_loss),
        ('L1Loss', F.l1_loss),
        ('SmoothL1Loss', F.huber_loss),
        # Of shape alpha = 1 and scale 1: sqrt(x^2 + 1) - 1 (Charbonnier)
        (
            dict(type='AdaptiveRobustLoss', alpha=1.0, scale=1.0),
            lambda p, y: ((p - y).square().add(1).sqrt() - 1).mean(),
        ),
    ],
)
def test_losses_of_standardized_targets(loss, formula):
    model = build(loss).eval()
    data = batch()
    pred = model(**data)
    assert pred.shape == (40, 1)
    torch.testing.assert_close(model(**data, mode='loss')['loss'], formula(pred, standardized()))


def test_predictions_are_in_the_unit_of_the_target():
    model = build().eval()
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.fill_(2)  # two standard deviations above the mean
    targets = _Matrix().targets
    for sample in model(**batch(), mode='predict'):
        assert sample.pred_value.item() == pytest.approx(targets.mean() + 2 * targets.std(), rel=1e-5)
    (alone,) = model(batch(1)['inputs'], mode='predict')
    assert alone.pred_value.item() == pytest.approx(targets.mean() + 2 * targets.std(), rel=1e-5)


SLF = dict(
    type='StochasticLoss',
    candidates=[dict(type='MSELoss'), dict(type='L1Loss'), dict(type='AdaptiveRobustLoss', num_channels=1)],
)


@pytest.mark.parametrize(
    ('layer', 'loss'),
    [
        *((layer, 'MSELoss') for layer in (None, 'GraphLocallyConnected', 'FeaStConv', 'EdgeConditionedConv')),
        *((layer, 'MSELoss') for layer in ('SpectralConv', 'GCNConv', 'ChebConv')),
        *(('ChebConv', loss) for loss in ('L1Loss', 'SmoothL1Loss', 'AdaptiveRobustLoss', SLF)),
    ],
)
def test_learns(layer, loss):
    model = build(loss, layer, dropout=0.0, channels=(8, 8), hidden_channels=(32,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    data = batch()
    for _ in range(100):
        optimizer.zero_grad()
        model(**data, mode='loss')['loss'].backward()
        optimizer.step()
    model.eval()
    error = (model(**data) - standardized()).abs().mean()
    assert error < 0.4  # 0.71 of a model that predicts the mean
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_sizes_of_losses_are_filled_in():
    assert build('AdaptiveRobustLoss').loss_module.num_channels == 1
    mixture = build(SLF).loss_module
    assert isinstance(mixture, StochasticLoss) and mixture.feature_dim == 1
    assert isinstance(mixture.candidates[2], AdaptiveRobustLoss)


def test_slf_of_one_number_weighs_all_samples_alike():
    """The decision network sees the prediction, which its layer norm makes 0: what README.md says."""
    model = build(SLF)
    torch.nn.init.normal_(model.loss_module.decision_network.output.weight)
    log_p = model.loss_module.decision_network(torch.randn(5, 1))
    torch.testing.assert_close(log_p, log_p[:1].expand(5, -1))


def test_dropout_is_off_in_evaluation():
    model = build(dropout=0.5)
    data = batch(8)
    assert not torch.equal(model(**data), model(**data))
    assert torch.equal(model.eval()(**data), model(**data))


def test_a_fully_connected_network_has_no_graph_layer():
    model = build(layer=None)
    assert not model.graph_layers and model.hidden[0].in_features == NODES
    assert build().hidden[0].in_features == 3 * NODES


def test_checkpoints(tmp_path):
    model = build('AdaptiveRobustLoss', 'SpectralConv')
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    other = build('AdaptiveRobustLoss', 'SpectralConv')
    torch.nn.init.normal_(other.output.weight)
    other.load_state_dict(torch.load(tmp_path / 'model.pth', weights_only=True))
    assert torch.equal(model.eval()(**batch()), other.eval()(**batch()))
    with pytest.raises(ValueError, match='the graph of the checkpoint is not that of training_set'):
        build('AdaptiveRobustLoss', 'SpectralConv', seed=1).load_state_dict(model.state_dict())


def test_wrong_input():
    with pytest.raises(ValueError, match=r'inputs of shape \(2, 5\) do not fit the graph of 9 features'):
        build()(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="mode must be 'tensor', 'predict' or 'loss', found 'train'"):
        build()(**batch(), mode='train')


def test_constant_target():
    with pytest.raises(ValueError, match=r'all 40 targets of training_set are 5\.0: there is nothing to predict'):
        build(constant=True)

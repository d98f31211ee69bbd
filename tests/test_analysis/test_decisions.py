"""The weights that a decision network gives to images, found by the analysis."""

import io

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from rich.console import Console

from slf_mmdet.analysis.decisions import (
    Decisions,
    bins_of,
    correlation,
    draw_decisions,
    read_decisions,
    table,
)

from ..helpers import DIGITS_SLF


@pytest.fixture
def cfg(digits, monkeypatch):
    monkeypatch.chdir(digits)
    return Config.fromfile(DIGITS_SLF)


def checkpoint_of(cfg, path, change=lambda network: None):
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    change(model.bbox_head.loss_balancer.decision_network)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path), model.eval()


def decisions_of(x, weights, sizes=None):
    weights = np.stack(weights, axis=1)
    sizes = np.full(len(x), 0.5) if sizes is None else sizes
    parts = tuple('abcd'[: weights.shape[1]])
    return Decisions(parts, np.ones(len(parts)), weights, np.array(x), sizes)


def test_untrained_network_gives_the_base_weights(cfg, tmp_path):
    checkpoint, _ = checkpoint_of(cfg, tmp_path / 'x.pth')
    found = read_decisions(cfg, checkpoint, most=5)
    assert found.parts == ('coord', 'cls', 'obj', 'noobj')
    np.testing.assert_allclose(found.weights, [[5, 1, 1, 0.5]] * 5, rtol=1e-5)


def test_weights_are_those_of_the_network_on_the_detectors_output(cfg, tmp_path):
    def change(network):
        torch.nn.init.normal_(network.output.weight, std=0.3)

    cfg.model.bbox_head.loss_balancer.prior_share = 0.25
    checkpoint, model = checkpoint_of(cfg, tmp_path / 'x.pth', change)
    found = read_decisions(cfg, checkpoint, most=4)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    for row, index in enumerate((0, 5, 10, 15)):
        sample = dataset[index]
        data = model.data_preprocessor(dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))
        with torch.no_grad():
            (output,) = model.bbox_head(model.extract_feat(data['inputs']))
            offset = model.bbox_head.loss_balancer.decision_network(output.flatten(1))[0].numpy() - np.log(0.25)
        p = np.exp(offset / (1 + np.abs(offset) / 3)) * np.array([5, 1, 1, 0.5])
        p /= p.sum()
        expected = 7.5 * 0.75 * p + 0.25 * np.array([5, 1, 1, 0.5])
        np.testing.assert_allclose(found.weights[row], expected, rtol=1e-4)
        assert found.counts[row] == len(sample['data_samples'].gt_instances)
    assert found.weights.std(0).min() > 0


def test_weights_of_algorithm_1_are_its_probabilities_times_their_sum(cfg, tmp_path):
    cfg.model.bbox_head.loss_balancer = dict(type='PaperSLFBalancer')
    checkpoint, model = checkpoint_of(cfg, tmp_path / 'x.pth')
    found = read_decisions(cfg, checkpoint, most=1)
    sample = DATASETS.build(cfg.val_dataloader.dataset)[0]
    data = model.data_preprocessor(dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))
    with torch.no_grad():
        (output,) = model.bbox_head(model.extract_feat(data['inputs']))
        p = model.bbox_head.loss_balancer.decision_network(output.flatten(1))[0].exp()
    np.testing.assert_allclose(found.weights[0], 7.5 * p.numpy(), rtol=1e-4)
    assert p.std() > 0.01  # it starts at random


@pytest.mark.parametrize('split', ['train', 'val'])
def test_sizes_are_in_the_pixels_of_the_network(cfg, tmp_path, split):
    checkpoint, _ = checkpoint_of(cfg, tmp_path / 'x.pth')
    before = read_decisions(cfg, checkpoint, split, most=4)
    assert ((before.sizes > 0.05) & (before.sizes < 1)).all()
    truth = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    (height, width) = truth[0]['data_samples'].ori_shape
    x1, y1, x2, y2 = np.array([instance['bbox'] for instance in truth.get_data_info(0)['instances']]).T
    assert before.sizes[0] == pytest.approx(
        np.sort(np.sqrt((x2 - x1) * (y2 - y1) / (width * height)))[(len(x1) - 1) // 2]
    )


def test_table():
    rising = np.arange(10.0)
    console = Console(file=io.StringIO(), width=100)
    console.print(table(decisions_of(np.arange(10), [rising, -rising, np.ones(10)])))
    text = console.file.getvalue()
    rows = {
        line.split('│')[1].strip(): [cell.strip() for cell in line.split('│')[2:-1]]
        for line in text.splitlines()
        if '│' in line
    }
    assert rows['a'] == ['1', '4.5', '0.9', '8.1', '+1.00', '+0.00']
    assert rows['b'][4] == '-1.00' and rows['c'][4] == '+0.00'


def test_lines_are_means_of_the_images_with_as_many_objects():
    figure = draw_decisions(decisions_of([1, 2, 1, 2, 3], [np.array([1.0, 2.0, 3.0, 4.0, 9.0])]))
    line = figure.axes[0].get_lines()[0]
    assert line.get_xdata().tolist() == [1, 2, 3] and line.get_ydata().tolist() == [2, 3, 9]
    assert 'a (r = +' in line.get_label()


def test_bins():
    assert [index.tolist() for index in bins_of(np.array([2.0, 1.0, 2.0, float('nan')]))] == [[1], [0, 2]]
    many = np.random.default_rng(0).permutation(100).astype(float)
    found = bins_of(many, most=4)
    assert [len(index) for index in found] == [25, 25, 25, 25]
    assert max(many[found[0]]) < min(many[found[1]])
    assert bins_of(np.array([float('nan')])) == []


def test_correlation_of_what_is_constant_or_missing():
    x = np.array([1.0, 2.0, float('nan'), 3.0])
    assert correlation(x, np.array([2.0, 4.0, -9.0, 5.0])) == pytest.approx(1)
    assert correlation(x, np.full(4, 1.0)) == correlation(np.full(4, 1.0), x) == 0


def test_model_without_a_decision_network(cfg):
    cfg.model.bbox_head.loss_balancer = dict(type='StaticBalancer')
    with pytest.raises(ValueError, match='must have one balancer with a decision network.*found none'):
        read_decisions(cfg, 'no.pth')

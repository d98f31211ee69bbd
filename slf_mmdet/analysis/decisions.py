"""What a decision network learned: its weights for the images of a data set."""

import copy
from typing import List, NamedTuple, Tuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint
from rich.progress import track
from rich.table import Table
from scipy import stats
from torch import nn

from ..models.detectors.probe import record_output
from ..slf import DecisionBalancer

LOAD_ANNOTATIONS = dict(type='LoadAnnotations', with_bbox=True)
MOST_BINS = 10


class Decisions(NamedTuple):
    """Weights of N images, before sampling.

    Attributes:
        parts: names of the n parts.
        base_weights: ``(n,)``.
        weights: ``(N, n)``.
        counts: ``(N,)`` number of objects of the image.
        sizes: ``(N,)`` median size of its objects, the square root of their share of the image's area, in [0, 1]; nan
            without objects.
    """

    parts: Tuple[str, ...]
    base_weights: np.ndarray
    weights: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray


def read_decisions(
    cfg: Config, checkpoint: str, split: str = 'val', most: int = 1000, device: str = 'cpu'
) -> Decisions:
    """Runs the detector on a data set, image by image, and evaluates its decision network.

    Args:
        cfg: of a detector with an ``SLFBalancer``.
        checkpoint: of its training.
        split: ``'train'``, augmented as in training; ``'val'`` or ``'test'``.
        most: largest number of images; they are evenly chosen.
        device: of torch.

    Raises:
        ValueError: the model has no decision network over parts, or several.
    """
    model = MODELS.build(copy.deepcopy(cfg.model))
    balancer = _only_balancer(model)
    load_checkpoint(model, checkpoint, map_location='cpu')
    model.to(device).eval()
    dataset = DATASETS.build(_dataset_cfg(cfg, split))
    chosen = np.linspace(0, len(dataset) - 1, min(most, len(dataset))).round().astype(int).tolist()
    weights: List[np.ndarray] = []
    counts, sizes = [], []
    for index in track(chosen, 'Images'):
        data = model.data_preprocessor(pseudo_collate([dataset[index]]))
        # One image at a time: where there is one set of weights per batch, it is that of the image
        with record_output(balancer, 'decision_network') as outputs, torch.no_grad():
            model(**data, mode='loss')
            weights.append(balancer.mean_weights(outputs[-1])[0].cpu().numpy())
        (sample,) = data['data_samples']
        boxes = sample.gt_instances.bboxes
        relative = (boxes[:, 2:] - boxes[:, :2]).prod(1) / (sample.img_shape[0] * sample.img_shape[1])
        counts.append(len(boxes))
        sizes.append(float(relative.sqrt().median()) if len(boxes) else float('nan'))
    base_weights = balancer.base_weights.cpu().numpy()
    return Decisions(balancer.parts, base_weights, np.stack(weights), np.array(counts), np.array(sizes))


def draw_decisions(decisions: Decisions) -> Figure:
    """Weights relative to the base weights, over the number of objects and over their size.

    Lines are means, bands reach from the 10th to the 90th percentile of the images. The legend has Spearman's rank
    correlation r. The lower panels count the images.
    """
    figure = Figure(figsize=(10, 5), layout='constrained')
    grid = figure.subplots(2, 2, sharex='col', sharey='row', height_ratios=(4, 1))
    for (upper, lower), x, label in (
        (grid[:, 0], decisions.counts, 'objects in the image'),
        (grid[:, 1], 100 * decisions.sizes, 'size of the objects [% of the image side]'),
    ):
        _draw_over(upper, lower, x, decisions)
        lower.set_xlabel(label)
    grid[1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[0, 0].set_ylabel('weight / base weight')
    grid[1, 0].set_ylabel('images')
    return figure


def table(decisions: Decisions) -> Table:
    """The same as a table: base weight, mean and percentiles of the weight, and its rank correlations."""
    result = Table('part', 'base', 'mean', '10 %', '90 %', 'r objects', 'r size')
    for column in result.columns[1:]:
        column.justify = 'right'
    for part, base, weights in zip(decisions.parts, decisions.base_weights, decisions.weights.T):
        numbers = [base, weights.mean(), *np.percentile(weights, (10, 90))]
        rho = [correlation(x, weights) for x in (decisions.counts, decisions.sizes)]
        result.add_row(part, *(f'{number:.4g}' for number in numbers), *(f'{value:+.2f}' for value in rho))
    return result


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of those pairs that are finite; 0 where one of them does not vary."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) <= 1e-6 * np.abs(y).max():
        return 0.0
    return float(stats.spearmanr(x, y).statistic)


def bins_of(x: np.ndarray, most: int = MOST_BINS) -> List[np.ndarray]:
    """Bins the images: a bin for each value, or ``most`` quantile bins if there are more values.

    Returns:
        Indices of the images of each bin, in ascending order of ``x``; those where x is nan are left out.
    """
    order = np.argsort(x, kind='stable')
    order = order[np.isfinite(x[order])]
    values = np.unique(x[order])
    if len(values) > most:
        values = np.unique(np.quantile(x[order], np.linspace(0, 1, most + 1)))[:-1]
    starts = np.searchsorted(x[order], values)[1:]
    return [found for found in np.split(order, starts) if len(found)]


def _draw_over(upper: Axes, lower: Axes, x: np.ndarray, decisions: Decisions) -> None:
    bins = bins_of(x)
    centers = [x[index].mean() for index in bins]
    for i, part in enumerate(decisions.parts):
        weights = decisions.weights[:, i] / (decisions.base_weights[i] or 1)
        low, high = np.array([np.percentile(weights[index], (10, 90)) for index in bins]).reshape(-1, 2).T
        label = f'{part} (r = {correlation(x, weights):+.2f})'
        upper.plot(centers, [weights[index].mean() for index in bins], marker='.', color=f'C{i}', label=label)
        upper.fill_between(centers, low, high, color=f'C{i}', alpha=0.2, linewidth=0)
    upper.axhline(1, color='0.5', linewidth=1, linestyle='--')
    upper.legend(fontsize='small')
    lower.vlines(centers, 0, [len(index) for index in bins], linewidth=6, color='0.6')
    for axes in (upper, lower):
        axes.grid(alpha=0.3)


def _only_balancer(model: nn.Module) -> DecisionBalancer:
    found = {name: module for name, module in model.named_modules() if isinstance(module, DecisionBalancer)}
    if len(found) != 1:
        raise ValueError(
            f'{type(model).__name__} must have one balancer with a decision network, such as SLFBalancer; found '
            f'{list(found) or "none"}.'
        )
    return next(iter(found.values()))


def _dataset_cfg(cfg: Config, split: str) -> dict:
    dataset = copy.deepcopy(cfg[f'{split}_dataloader'].dataset)
    if split != 'train':
        # Test pipelines load the ground truth after resizing, in pixels of the file; the loss needs those of the input
        steps = [step for step in dataset.pipeline if step.type != LOAD_ANNOTATIONS['type']]
        dataset.pipeline = [steps[0], dict(LOAD_ANNOTATIONS), *steps[1:]]
        dataset.test_mode = False  # no evaluation, for which the ground truth must stay as it is
    return dataset

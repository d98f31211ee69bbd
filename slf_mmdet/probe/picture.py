"""The measurement as a picture."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .measure import Measurement


def draw(found: Measurement, title: str) -> Figure:
    """Shares of the loss and of the gradient, average precision lost, weights, and cosines of the gradients.

    Args:
        found: of n parts.
        title: of the figure.
    """
    with_cosines = found.cosines is not None and len(found.parts) > 1
    figure = Figure(figsize=(12 if with_cosines else 9, 1.8 + 0.5 * len(found.parts)), layout='constrained')
    axes = figure.subplots(1, 4 if with_cosines else 3)
    figure.suptitle(title)
    weighted = found.base_weights * found.losses
    shares = {'loss': weighted}
    if found.gradient_norms is not None:
        shares['gradient norm'] = found.base_weights * found.gradient_norms
    _bars(axes[0], found, {name: each / max(each.sum(), np.finfo(float).tiny) for name, each in shares.items()})
    axes[0].set_xlabel('share, weighted')
    if found.ap_lost is None:
        axes[1].text(0.5, 0.5, 'cannot be measured', ha='center', va='center', transform=axes[1].transAxes)
        _bars(axes[1], found, {})
        _bars(axes[2], found, {'config': found.base_weights})
    else:
        _bars(axes[1], found, {'': found.ap_lost}, found.ap_lost_error)
        _bars(axes[2], found, {'config': found.base_weights, 'SLF': found.slf_weights})
    axes[1].set_xlabel('average precision lost')
    axes[2].set_xlabel('weight')
    if with_cosines:
        image = axes[3].imshow(found.cosines, cmap='RdBu', vmin=-1, vmax=1)
        axes[3].set_xticks(range(len(found.parts)), found.parts, rotation=45, ha='right')
        axes[3].set_yticks(range(len(found.parts)), found.parts)
        axes[3].set_xlabel('cosine of the gradients')
        figure.colorbar(image, ax=axes[3], shrink=0.8)
    return figure


def _bars(axes: Axes, found: Measurement, groups: dict, error: object = None) -> None:
    """Horizontal bars of each part, one for each group."""
    positions = np.arange(len(found.parts))
    height = 0.8 / max(len(groups), 1)
    for i, (label, values) in enumerate(groups.items()):
        axes.barh(positions + i * height - 0.4 + height / 2, values, height, xerr=error, label=label, color=f'C{i}')
    axes.set_yticks(positions, found.parts)
    axes.set_ylim(len(found.parts) - 0.5, -0.5)
    axes.grid(axis='x', alpha=0.3)
    if len(groups) > 1:
        axes.legend(fontsize='small')

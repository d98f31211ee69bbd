"""The weights so far as a picture in the backends of the visualizer."""

from typing import Dict, Optional

import numpy as np
from matplotlib.figure import Figure
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..utils.pictures import as_rgb

WEIGHT = 'train/balance_'
PICTURE = 'loss_weights'
MOST_POINTS = 500


@HOOKS.register_module()
class WeightPictureHook(Hook):
    """Draws the weights of the parts so far, after each evaluation, in TensorBoard, W&B or whatever the run has.

    The scalars are there anyway, each in a chart of its own; this is all of them in one. A resumed run draws from its
    start. Nothing is drawn without a balancer.
    """

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        weights = weights_so_far(runner.message_hub)
        if weights:
            runner.visualizer.add_image(PICTURE, as_rgb(draw_weights(weights)), runner.iter)


def weights_so_far(hub: MessageHub) -> Dict[str, np.ndarray]:
    """Part -> its weight in each iteration, ``(iterations,)``."""
    return {
        key[len(WEIGHT) :]: np.asarray(buffer.data[0], dtype=float)
        for key, buffer in hub.log_scalars.items()
        if key.startswith(WEIGHT)
    }


def draw_weights(weights: Dict[str, np.ndarray]) -> Figure:
    """A line for each part, over at most 500 points, each the mean of a range of iterations."""
    figure = Figure(figsize=(6.4, 3.2), layout='constrained')
    axes = figure.subplots()
    for part, values in weights.items():
        iterations = np.arange(1, len(values) + 1)
        ranges = np.array_split(np.arange(len(values)), min(len(values), MOST_POINTS))
        axes.plot([iterations[r].mean() for r in ranges], [values[r].mean() for r in ranges], label=part)
    axes.set(xlabel='iteration', ylabel='weight')
    axes.legend(fontsize='small')
    axes.grid(alpha=0.3)
    return figure

"""Generated images as one picture in the backends of the visualizer."""

from typing import Any, Dict, Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torchvision.utils import make_grid

from ..utils.checks import is_count, require
from ..utils.wrapped import unwrapped

PICTURE = 'samples'


@HOOKS.register_module()
class SampleGridHook(Hook):
    """Draws what a generator makes of fixed noise, after each evaluation: the same vectors every time.

    mmengine's ``LocalVisBackend`` writes ``samples_ITERATION.png`` to the ``vis_data/vis_image`` of the run,
    TensorBoard and others show it.

    Args:
        rows: of the grid, >= 1.
        columns: of the grid, >= 1.

    Raises:
        ValueError: a setting is no integer >= 1.
    """

    def __init__(self, rows: int = 8, columns: int = 8) -> None:
        for name, value in (('rows', rows), ('columns', columns)):
            require(is_count(value), 'SampleGridHook', name, 'an integer >= 1', value)
        self.rows, self.columns = rows, columns

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        model = unwrapped(runner.model)
        runner.visualizer.add_image(PICTURE, self.draw(model), runner.iter)

    after_test_epoch = after_val_epoch

    @torch.no_grad()
    def draw(self, model: Any) -> np.ndarray:
        """A grid of images ``(H, W, 3)``, uint8.

        Args:
            model: a :class:`~slf_mmdet.models.gan.GAN` in evaluation mode.
        """
        images = model.pixels(model.generator(model.seeded_noise(range(self.rows * self.columns))))
        return make_grid(images, nrow=self.columns, padding=1).permute(1, 2, 0).cpu().numpy()

"""Restored images as pictures in the backends of the visualizer."""

from typing import Any, Optional, Sequence

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..utils.checks import is_count, require


@HOOKS.register_module()
class RestoredPicturesHook(Hook):
    """Draws the first images of each evaluation: interpolated, restored and true, from left to right.

    They go into the folder of the run, TensorBoard or whatever the visualizer has.

    Args:
        num_images: >= 1.

    Raises:
        ValueError: ``num_images`` is out of its range.
    """

    def __init__(self, num_images: int = 4) -> None:
        require(is_count(num_images), 'RestoredPicturesHook', 'num_images', 'an integer >= 1', num_images)
        self.num_images = num_images
        self._drawn = 0

    def before_val_epoch(self, runner: Runner) -> None:
        self._drawn = 0

    def before_test_epoch(self, runner: Runner) -> None:
        self._drawn = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[Sequence[Any]] = None
    ) -> None:
        self._draw(runner, outputs or (), f'val_{runner.epoch:03d}')

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[Sequence[Any]] = None
    ) -> None:
        self._draw(runner, outputs or (), 'test')

    def _draw(self, runner: Runner, samples: Sequence[Any], prefix: str) -> None:
        for sample in samples[: self.num_images - self._drawn]:
            row = torch.cat([sample.bicubic, sample.restored, sample.true], dim=-1)
            picture = (255 * row).round().byte().permute(1, 2, 0).cpu().numpy()
            runner.visualizer.add_image(f'{prefix}_{self._drawn}', picture, runner.iter)
            self._drawn += 1

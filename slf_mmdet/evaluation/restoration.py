"""How close restored images are to the true ones: in their pixels, and in networks that look at them."""

from typing import Any, Dict, Mapping, Sequence

import numpy as np
import torch
from mmdet.registry import METRICS, MODELS
from mmdet.utils import ConfigType
from mmengine.evaluator import BaseMetric
from torch import Tensor

from .no_results import require_results


def psnr(restored: Tensor, true: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two images with values from 0 to 1; inf where they are equal.

    Examples:
        >>> round(psnr(torch.zeros(3, 2, 2), torch.full((3, 2, 2), 0.1)), 3)  # 10 log10(1 / 0.01)
        20.0
    """
    error = (restored.double() - true.double()).square().mean()
    return float(-10 * error.log10())


@METRICS.register_module()
class RestorationMetric(BaseMetric):
    """:func:`psnr` of restored images and of bicubic interpolation, and distances in networks; means over the images.

    A network that the model was trained with favours it; take another here.

    Args:
        distances: name -> config of a :class:`~slf_mmdet.losses.PerceptualLoss` or another loss of a network.
            ``<name>`` is that of the restored images, ``<name>_bicubic`` that of the interpolated ones.
        kwargs: see mmengine's ``BaseMetric``.
    """

    default_prefix = 'restoration'

    def __init__(self, distances: Mapping[str, ConfigType] = {}, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.distances = {name: MODELS.build(config).eval() for name, config in distances.items()}
        for loss in self.distances.values():
            loss.init_weights()

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compares the images of a batch."""
        for sample in data_samples:
            true = sample['true']
            values: Dict[str, float] = {}
            for suffix, image in (('', sample['restored']), ('_bicubic', sample['bicubic'])):
                values[f'psnr{suffix}'] = psnr(image, true)
                for name, loss in self.distances.items():
                    values[f'{name}{suffix}'] = float(loss.to(true.device)(image[None], true[None]))
            self.results.append(values)

    def compute_metrics(self, results: Sequence[Dict[str, float]]) -> Dict[str, float]:
        """The mean of each value."""
        require_results(self, results)
        return {key: float(np.mean([values[key] for values in results])) for key in results[0]}

"""Parts that turn the step of the detector towards better detections of images that are kept out of training."""

from typing import Any, List, Optional, Set

import numpy as np
from mmdet.registry import DATASETS, TASK_UTILS
from mmengine import dist
from mmengine.dataset import pseudo_collate
from torch import Tensor

from ...balancers.part_gradients import gradient
from ...balancers.step import Step
from ...utils.checks import is_count, require
from ...utils.image_id import image_id
from ...utils.state import StepCounter
from .gradient_alignment import GradientAlignment


@TASK_UTILS.register_module()
class ValidationSignal(GradientAlignment):
    r"""Gives weight to parts whose gradient agrees with that of the detection quality on validation images.

    The loss is "adjusted with the performance on the validation set" (Liu & Lai, AAAI 2020, Introduction and Eq. 1).
    Costs are those of :class:`GradientAlignment`, but r is the gradient on a batch of images that are kept out of
    training, of a data set of its own. To take a share of the training set, split it::

        split = dict(type='HeldOutSplit', dataset=_base_.train_dataloader.dataset, share=0.1)
        train_dataloader = dict(dataset=dict(split, _delete_=True, part='train'))
        signal = dict(type='ValidationSignal', dataset=dict(split, part='held_out'))

    The pipeline must load the ground truth in the scale of the network's input, as training pipelines do; it should not
    augment. Batches come in an order that the seed decides, which a resumed run goes on with, and are loaded in the
    training process. With several processes, each takes its share of a batch.

    Args:
        num_parts: see :class:`Signal`.
        dataset: config of the data set; it is built at the first measurement.
        batch_size: images >= 1 of a measurement, of all processes together.
        seed: >= 0, of the order.
        momentum: see :class:`ComparingSignal`.
        interval: see there.

    Raises:
        ValueError: a setting is out of its range; or, in a step, the detector does not offer shared parameters or the
            detections of other images, there are fewer images or processes than images in a batch, or an image of the
            training batch is a validation image.
    """

    def __init__(
        self,
        num_parts: int,
        dataset: dict,
        batch_size: int = 16,
        seed: int = 0,
        momentum: float = 0.999,
        interval: Optional[int] = None,
    ) -> None:
        super().__init__(num_parts, 'detection_quality', momentum, interval)
        owner = type(self).__name__
        right = isinstance(dataset, dict) and bool(dataset.get('type'))
        require(right, owner, 'dataset', 'the config of a data set, a dict with a type', dataset)
        require(is_count(batch_size), owner, 'batch_size', 'an integer >= 1', batch_size)
        require(is_count(seed, 0), owner, 'seed', 'an integer >= 0', seed)
        self.dataset_cfg = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.batches = StepCounter()
        self._dataset: Any = None
        self._image_ids: Set[str] = set()

    def _measure(self, step: Step, prior_weights: Tensor, weights: Tensor) -> None:
        instead = "Or take signal=dict(type='GradientAlignment')."
        parameters = step.shared_parameters(self.label, instead)
        quality = step.quality_of(self._next_batch(step), self.label, instead)
        wanted = step.average(gradient(quality, parameters))
        self._align(step, parameters, weights, wanted)

    def _next_batch(self, step: Step) -> dict:
        dataset = self._loaded()
        both = self._image_ids.intersection(step.image_ids)
        if both:
            raise ValueError(
                f'{self.label}: {sorted(both)[0]} is an image of the training batch and of the validation data. Keep '
                "them apart: dict(type='HeldOutSplit', dataset=..., part='train') for training, part='held_out' here."
            )
        indices = self._indices(len(dataset))[dist.get_rank() :: dist.get_world_size()]
        self.batches.advance()
        return pseudo_collate([dataset[index] for index in indices])

    def _indices(self, number: int) -> List[int]:
        """Images of the next batch: of a permutation for each pass over the data."""
        epoch, batch = divmod(self.batches.value, number // self.batch_size)
        order = np.random.default_rng((self.seed, epoch)).permutation(number)
        return order[batch * self.batch_size : (batch + 1) * self.batch_size].tolist()

    def _loaded(self) -> Any:
        if self._dataset is None:
            self._dataset = DATASETS.build(self.dataset_cfg)
            number = len(self._dataset)
            least = dist.get_world_size()
            if not least <= self.batch_size <= number:
                raise ValueError(
                    f'{self.label}: batch_size must be between {least} (the number of processes) and {number} (the '
                    f'images of the data set), found {self.batch_size}.'
                )
            found = (image_id(self._dataset.get_data_info(index)) for index in range(number))
            self._image_ids = {name for name in found if name is not None}
        return self._dataset

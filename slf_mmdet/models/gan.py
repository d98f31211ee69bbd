"""A generative adversarial network as one model of mmengine with two optimizers."""

from typing import Any, Dict, List, Sequence, Union

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, OptConfigType
from mmengine import dist
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from mmengine.structures import BaseDataElement
from torch import Tensor

from ..losses.gan import AdversarialLoss
from ..utils.checks import is_count, require
from ..utils.config import checked_cfg, registered
from ..utils.state import StepCounter

PLAYERS = ('discriminator', 'generator')


@MODELS.register_module()
class GAN(BaseModel):
    """A generator, and a discriminator that tells its images from real ones, trained in turn.

    Each training step takes a batch of real images, makes as many, and steps the discriminator; every
    ``discriminator_steps``-th one also steps the generator, on new noise. Each network has its own optimizer, see
    :class:`~slf_mmdet.models.optim_per_module.OptimPerModule`. In evaluation there is one generated image for each real
    one, from noise that its index in the data set seeds: independent of batch size, number of processes and training.

    ====================== ========================================================
    ``loss_real``          the discriminator's loss on real images
    ``loss_fake``          on generated images
    ``loss_penalty``       a third term, where the loss has one
    ``loss_discriminator`` the sum of these
    ``loss_generator``     the generator's loss, in the steps in which it is trained
    ====================== ========================================================

    Args:
        generator: config of a module with ``noise_dim`` that maps noise ``(N, noise_dim)`` to images, in the range that
            ``data_preprocessor`` gives to real ones.
        discriminator: config of a module that maps images to scores ``(N,)``.
        loss: config of an :class:`~slf_mmdet.losses.gan.AdversarialLoss`.
        data_preprocessor: with mean and std, such as mmengine's ``ImgDataPreprocessor``.
        discriminator_steps: steps >= 1 of the discriminator for one of the generator.
        init_cfg: see mmengine's ``BaseModel``.

    Raises:
        ValueError: the loss is not known, or ``discriminator_steps`` is no integer >= 1; in a step, a batch without
            images.
    """

    def __init__(
        self,
        generator: ConfigType,
        discriminator: ConfigType,
        loss: ConfigType,
        data_preprocessor: ConfigType,
        discriminator_steps: int = 1,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        wanted, hint = 'an integer >= 1', 'It counts steps of the discriminator for one of the generator.'
        require(is_count(discriminator_steps), 'GAN', 'discriminator_steps', wanted, discriminator_steps, hint)
        self.discriminator_steps = discriminator_steps
        self.generator = MODELS.build(generator)
        self.discriminator = MODELS.build(discriminator)
        self.loss = MODELS.build(checked_cfg(loss, 'GAN: loss', registered(AdversarialLoss), AdversarialLoss))
        self.counter = StepCounter()

    def forward(
        self,
        inputs: Tensor,
        data_samples: Any = None,
        mode: str = 'tensor',
        player: str = PLAYERS[0],
    ) -> Union[Tensor, Dict[str, Tensor], List[BaseDataElement]]:
        """Generates images or computes losses.

        Args:
            inputs: real images ``(N, C, H, W)``, preprocessed.
            data_samples: of these images, with their ``sample_idx`` for the mode ``'predict'``.
            mode: ``'tensor'`` for N generated images, ``'loss'`` for the losses of a player, ``'predict'`` for a sample
                with ``fake_img`` for each real image.
            player: ``'discriminator'`` or ``'generator'``, whose losses are computed.
        """
        require(len(inputs) > 0, 'GAN', 'a batch', 'of one image or more', len(inputs))
        if mode == 'predict':
            return self.predict(data_samples)
        if mode == 'loss':
            return self.losses(inputs, player)
        return self.generator(self.noise(len(inputs)))

    def losses(self, real: Tensor, player: str) -> Dict[str, Tensor]:
        """The losses of one player, with a graph to its parameters; the generator's also reaches the discriminator."""
        if player == 'generator':
            return dict(loss_generator=self.loss.generator(self.scores(self.generator(self.noise(len(real))))))
        with torch.no_grad():
            fake = self.generator(self.noise(len(real)))
        losses = dict(loss_real=self.loss.real(self.scores(real)), loss_fake=self.loss.fake(self.scores(fake)))
        penalty = self.loss.penalty(self.scores, real, fake.to(real))
        return losses if penalty is None else dict(losses, loss_penalty=penalty)

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> Dict[str, Tensor]:
        """Steps the discriminator and, when it is its turn, the generator; returns the losses to log."""
        data = self.data_preprocessor(data, training=True)
        self.counter.advance()
        log = self._step('discriminator', data, optim_wrapper)
        self.loss.constrain(self.discriminator)
        if self.counter.value % self.discriminator_steps == 0:
            self.discriminator.requires_grad_(False)  # the gradients must not wait there for its next step
            log.update(self._step('generator', data, optim_wrapper))
            self.discriminator.requires_grad_(True)
        return log

    def _step(self, player: str, data: dict, optim_wrapper: OptimWrapperDict) -> Dict[str, Tensor]:
        with optim_wrapper[player].optim_context(self):
            losses = self(**data, mode='loss', player=player)
        total, log = self.parse_losses(losses)
        optim_wrapper[player].update_params(total)
        log[f'loss_{player}'] = log.pop('loss')
        return log

    def scores(self, images: Tensor) -> Tensor:
        """Of the discriminator, ``(N,)``, in fp32 at least."""
        scores = self.discriminator(images)
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    def noise(self, count: int) -> Tensor:
        """Standard normal vectors ``(count, noise_dim)`` from the global generator, others in each process.

        Its state is the same in all processes, so that each draws for all of them.
        """
        shape = (dist.get_world_size(), count, self._noise_dim)
        return torch.randn(shape, device=self.data_preprocessor.device)[dist.get_rank()]

    def seeded_noise(self, seeds: Sequence[int]) -> Tensor:
        """A standard normal vector for each seed >= 0, ``(len(seeds), noise_dim)``."""
        rows = [np.random.default_rng(seed).standard_normal(self._noise_dim, np.float32) for seed in seeds]
        return torch.from_numpy(np.stack(rows)).to(self.data_preprocessor.device)

    def pixels(self, images: Tensor) -> Tensor:
        """Images in the range of the preprocessor as uint8 of 0 to 255."""
        values = images.float() * self.data_preprocessor.std + self.data_preprocessor.mean
        return values.round().clamp(0, 255).to(torch.uint8)

    def predict(self, data_samples: Sequence[Any]) -> List[BaseDataElement]:
        """Samples with ``fake_img`` ``(C, H, W)``, uint8, one for each of those given, by its ``sample_idx``."""
        images = self.pixels(self.generator(self.seeded_noise([sample.sample_idx for sample in data_samples])))
        return [BaseDataElement(fake_img=image) for image in images]

    @property
    def _noise_dim(self) -> int:
        generator = self.generator
        return getattr(generator, 'module', generator).noise_dim  # in distributed training it is wrapped

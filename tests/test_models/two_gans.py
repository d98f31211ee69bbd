"""A GAN with gradient penalty in two processes. Spawned processes import it by this name."""

import torch
from mmdet.registry import MODELS
from mmengine.model import MMSeparateDistributedDataParallel
from mmengine.optim import build_optim_wrapper


def gan():
    torch.manual_seed(0)
    sizes = dict(image_size=8, channels=3)
    return MODELS.build(
        dict(
            type='GAN',
            data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.5], std=[127.5]),
            generator=dict(type='DCGANGenerator', noise_dim=5, norm_cfg=None, **sizes),
            discriminator=dict(type='DCGANDiscriminator', **sizes),
            loss=dict(type='WGANGPLoss'),
            discriminator_steps=2,
        )
    )


def gan_of(rank):
    """Draws the noise that the process does."""
    model = gan()
    model.noise = lambda count: torch.randn(2, count, 5)[rank]
    return model


def optimizers(model):
    sgd = dict(optimizer=dict(type='SGD', lr=0.1))
    return build_optim_wrapper(model, dict(constructor='OptimPerModule', generator=sgd, discriminator=sgd))


def train(model, rank, steps):
    """Steps on images and noise of a process; returns the parameters by the names of the plain model."""
    wrapper = optimizers(model)
    torch.manual_seed(0)  # as mmengine does, the same in all processes
    generator = torch.Generator().manual_seed(rank)
    for _ in range(steps):
        images = torch.randint(256, (4, 1, 8, 8), dtype=torch.uint8, generator=generator)
        model.train_step(dict(inputs=list(images)), wrapper)
    state = {key.replace('module.', ''): value for key, value in model.state_dict().items()}
    return {key: value for key, value in state.items() if key.endswith(('weight', 'bias'))}


def process(rank, out):
    """Saves the parameters after one step and after four as ``out.RANK``."""
    once, often = (train(MMSeparateDistributedDataParallel(gan()), rank, steps) for steps in (1, 4))
    torch.save(dict(once=once, often=often), f'{out}.{rank}')

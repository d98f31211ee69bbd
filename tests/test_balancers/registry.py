"""Every registered balancer with a small valid config: a new one gets the shared tests by being registered."""

import torch
from mmdet.registry import MODELS

from slf_mmdet.balancers import LossBalancer

PARTS = ('coord', 'cls', 'obj', 'noobj')
BASE_WEIGHTS = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)
BASE = torch.tensor([BASE_WEIGHTS[name] for name in PARTS])
CONTEXT_DIM = 6
# Short phases, so that the few steps of a test reach all of them; and arguments without a default.
SETTINGS = {
    'DWABalancer': dict(interval=2),
    'STCHBalancer': dict(warmup=3, mu=0.5),
    'ReLoBRaLoBalancer': dict(lookback=0.5),
    'ScheduledBalancer': dict(
        schedules=dict(
            coord=2.0, cls=dict(value=1.0, schedulers=[dict(type='LinearParamScheduler', start_factor=0.5, end=8)])
        )
    ),
}


def all_balancers():
    return sorted(name for name, cls in MODELS.module_dict.items() if issubclass_of_balancer(cls))


def issubclass_of_balancer(cls):
    return isinstance(cls, type) and issubclass(cls, LossBalancer)


def build(name, **kwargs):
    torch.manual_seed(0)
    defaults = dict(parts=PARTS, base_weights=BASE_WEIGHTS, context_dim=CONTEXT_DIM, **SETTINGS.get(name, {}))
    return MODELS.build(dict(type=name, **{**defaults, **kwargs}))


def random_parts(num_images=4, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shape = (num_images,) if num_images else ()
    return {name: torch.rand(shape, generator=generator, dtype=dtype) + 0.1 for name in PARTS}


def random_context(num_images=4, seed=0):
    return torch.rand(num_images, CONTEXT_DIM, generator=torch.Generator().manual_seed(seed))


def random_inputs(num_images=4, seed=0, scale=1.0):
    """Parts in [0.1, 1.6] times the scale, with a context that they depend on, as those of a detector do.

    Returns:
        parts, each ``(N,)`` or, for no images, a scalar; and the context ``(N, D)``, which has a gradient.
    """
    context = random_context(max(num_images, 1), seed).requires_grad_()
    by_image = {
        name: scale * (value + (context[:, i : i + 2].square().sum(1)) / 4)
        for i, (name, value) in enumerate(random_parts(max(num_images, 1), seed + 1000).items())
    }
    return (by_image if num_images else {name: value[0] for name, value in by_image.items()}), context


def constant_inputs(values):
    """Parts of these values, with unit gradients with respect to the context."""
    context = torch.zeros(1, CONTEXT_DIM, requires_grad=True)
    return {name: value + context[0, i] for i, (name, value) in enumerate(zip(PARTS, values))}, context


def weights_of(out, parts=PARTS):
    return torch.stack([out[f'balance/{name}'] for name in parts])


def objective(out):
    """What mmengine's ``parse_losses`` would minimise."""
    return sum(value for key, value in out.items() if 'loss' in key)


def observe(balancer, steps):
    """Runs a balancer on random inputs.

    Returns:
        per step the mean losses and the weights, as lists of n floats in the order of ``PARTS``.
    """
    losses, weights = [], []
    for step in range(steps):
        parts, context = random_inputs(seed=step)
        weights.append(weights_of(balancer(parts, context)).tolist())
        losses.append([parts[name].mean().item() for name in PARTS])
    return losses, weights

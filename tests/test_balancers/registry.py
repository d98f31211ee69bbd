"""Every registered balancer with its smallest valid config: a new one gets the shared tests by being registered."""

import torch
from mmdet.registry import MODELS

from slf_mmdet.balancers import LossBalancer

PARTS = ('coord', 'cls', 'obj', 'noobj')
BASE_WEIGHTS = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)
CONTEXT_DIM = 6


def all_balancers():
    return sorted(name for name, cls in MODELS.module_dict.items() if issubclass_of_balancer(cls))


def issubclass_of_balancer(cls):
    return isinstance(cls, type) and issubclass(cls, LossBalancer)


def build(name, **kwargs):
    torch.manual_seed(0)
    defaults = dict(parts=PARTS, base_weights=BASE_WEIGHTS, context_dim=CONTEXT_DIM)
    return MODELS.build(dict(type=name, **{**defaults, **kwargs}))


def random_parts(num_images=4, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shape = (num_images,) if num_images else ()
    return {name: torch.rand(shape, generator=generator, dtype=dtype) + 0.1 for name in PARTS}


def random_context(num_images=4, seed=0):
    return torch.rand(num_images, CONTEXT_DIM, generator=torch.Generator().manual_seed(seed))


def objective(out):
    """What mmengine's ``parse_losses`` would minimise."""
    return sum(value for key, value in out.items() if 'loss' in key)

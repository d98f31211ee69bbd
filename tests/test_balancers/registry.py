"""Every registered balancer with a small valid config: a new one gets the shared tests by being registered."""

import pytest
import torch
from mmdet.registry import DATASETS, MODELS

from slf_mmdet.balancers import DetectionQuality, LossBalancer, Step
from slf_mmdet.utils.config import registered

PARTS = ('coord', 'cls', 'obj', 'noobj')
BASE_WEIGHTS = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)
BASE = torch.tensor([BASE_WEIGHTS[name] for name in PARTS])
FEATURE_DIM = 6
# Short phases, so that the few steps of a test reach all of them; and arguments without a default.
SETTINGS = {
    'DWABalancer': dict(interval=2),
    'GraPBalancer': dict(interval=2),
    'STCHBalancer': dict(warmup=3, mu=0.5),
    'ReLoBRaLoBalancer': dict(lookback=0.5),
    'ScheduledBalancer': dict(
        schedules=dict(
            coord=2.0, cls=dict(value=1.0, schedulers=[dict(type='LinearParamScheduler', start_factor=0.5, end=8)])
        )
    ),
}


def all_balancers():
    return registered(LossBalancer)


def all_balancers_but(*names):
    """Parametrises a test over the balancers that have the property: all but those named."""
    assert set(names) <= set(all_balancers())
    return pytest.mark.parametrize('name', [name for name in all_balancers() if name not in names])


def build(name, **kwargs):
    torch.manual_seed(0)
    defaults = dict(parts=PARTS, base_weights=BASE_WEIGHTS, feature_dim=FEATURE_DIM, **SETTINGS.get(name, {}))
    return MODELS.build(dict(type=name, **{**defaults, **kwargs}))


def random_parts(num_images=4, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shape = (num_images,) if num_images else ()
    return {name: torch.rand(shape, generator=generator, dtype=dtype) + 0.1 for name in PARTS}


def random_features(num_images=4, seed=0):
    return torch.rand(num_images, FEATURE_DIM, generator=torch.Generator().manual_seed(seed))


def random_inputs(num_images=4, seed=0, scale=1.0):
    """Parts in [0.1, 1.6] times the scale, with features that they depend on, as those of a detector do.

    Returns:
        parts, each ``(N,)`` or, for no images, a scalar; and the features ``(N, D)``, which have a gradient.
    """
    features = random_features(max(num_images, 1), seed).requires_grad_()
    by_image = {
        name: scale * (value + (features[:, i : i + 2].square().sum(1)) / 4)
        for i, (name, value) in enumerate(random_parts(max(num_images, 1), seed + 1000).items())
    }
    return (by_image if num_images else {name: value[0] for name, value in by_image.items()}), features


def constant_inputs(values):
    """Parts of these values, with unit gradients with respect to the features."""
    features = torch.zeros(1, FEATURE_DIM, requires_grad=True)
    return {name: value + features[0, i] for i, (name, value) in enumerate(zip(PARTS, values))}, features


@DATASETS.register_module(force=True)
class RandomImages:
    """Validation images of a toy detector: vectors ``(D,)``, with file names."""

    def __init__(self, number=6, seed=0):
        self.images = torch.randn(number, FEATURE_DIM, generator=torch.Generator().manual_seed(seed))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return dict(inputs=self.images[index], index=index)

    def get_data_info(self, index):
        return dict(img_path=f'val/{index}.png')


def offered(features):
    """What a detector offers besides the features. Here they are the parameters, too, and the detections."""
    return dict(
        shared_parameters=lambda: [features],
        output_parameters=lambda: [features],
        detection_quality=lambda: DetectionQuality(quality, [features]),
        quality_of=lambda data: quality([features * torch.stack(data['inputs']).mean(0)]),
        image_ids=['train/0.png'],
    )


def quality(inputs):
    """Like an average precision in [0, 1]: the smaller the inputs, and with them the parts, the higher."""
    return (-inputs[0].mean()).sigmoid()


def balance(balancer, parts, features):
    """Calls a balancer with all that a detector offers."""
    return balancer(parts, features, **offered(features))


def costs_of(signal, losses, weights=BASE, **offers):
    """The costs that a signal gives in a step, with the base weights as prior."""
    return signal.costs(Step(losses, PARTS[: losses.shape[-1]], **offers), BASE[: losses.shape[-1]], weights)


def weights_of(out, parts=PARTS):
    return torch.stack([out[f'balance_{name}'] for name in parts])


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
        parts, features = random_inputs(seed=step)
        weights.append(weights_of(balance(balancer, parts, features)).tolist())
        losses.append([parts[name].mean().item() for name in PARTS])
    return losses, weights

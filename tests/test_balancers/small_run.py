"""A small training run with any balancer, in one process or more. Spawned processes import it by this name."""

import functools
import itertools

import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn
from torch.distributed.nn.functional import all_reduce

from slf_mmdet.balancers import DetectionQuality
from slf_mmdet.slf import DecisionBalancer
from slf_mmdet.utils.config import registered
from slf_mmdet.utils.state import StepGenerator

from .registry import FEATURE_DIM, PARTS, all_balancers, build, objective

STEPS = 6


def slf(signal='TrainingLoss', sampler='Softmax', prior='BaseWeights', **settings):
    """Settings of SLFBalancer from types, or dicts where a part of it has settings of its own."""
    parts = dict(signal=signal, sampler=sampler, prior=prior)
    return dict(
        {key: value if isinstance(value, dict) else dict(type=value) for key, value in parts.items()}, **settings
    )


def signal(kind, **settings):
    return dict(type=kind, interval=1, **settings)


VALIDATION = signal('ValidationSignal', dataset=dict(type='RandomImages'), batch_size=4)
# Settings under which SLF's weights are the same in one process and in two: no noise, or one draw for all images
EXACT_SLF = dict(
    softmax=slf(),
    softmax_batch=slf(granularity='batch'),
    gumbel_batch=slf(sampler='MultipleGumbelSoftmax', granularity='batch'),
    stratified_batch=slf(sampler='StratifiedGumbelSoftmax', granularity='batch'),
    relative_loss=slf('RelativeLoss'),
    loss_rate=slf('LossRate'),
    alignment_batch=slf(
        signal('GradientAlignment', target='training_loss'), 'MultipleGumbelSoftmax', granularity='batch'
    ),
    alignment=slf(signal('GradientAlignment')),
    delta_ap=slf(signal('DeltaAP')),
    delta_ap_batch=slf(signal('DeltaAP'), granularity='batch'),
    validation=slf(VALIDATION),
    validation_batch=slf(VALIDATION, granularity='batch'),
    equal_weights=slf('LossRate', prior='EqualWeights'),
    equal_gradient_norms=slf('LossRate', prior=dict(type='EqualGradientNorms', at='output')),
    all_at_once=slf(
        signal('GradientAlignment'),
        prior=dict(type='EqualGradientNorms', at='shared'),
        granularity='batch',
        prior_share=0.1,
    ),
)
# The other balancers with a decision network, with one set of weights for all images, or without noise
EXACT_OTHERS = dict(
    paper_batch=dict(name='PaperSLFBalancer', granularity='batch', start='uniform'),
    paper_softmax=dict(name='PaperSLFBalancer', sampler=dict(type='Softmax')),
    ldc_mtl_batch=dict(name='LDCMTLBalancer', granularity='batch'),
)
EXACT = {**{variant: dict(settings, name='SLFBalancer') for variant, settings in EXACT_SLF.items()}, **EXACT_OTHERS}
# One set of weights for all images, or of each image without noise
SYNCED = {
    **{name: dict(name=name) for name in sorted(set(all_balancers()) - set(registered(DecisionBalancer)))},
    **EXACT,
}
NOISE = (None, 'independent', 'shared')


class Detector(nn.Module):
    """A linear layer whose squared outputs are the parts; with a norm, after a shared layer with that norm."""

    def __init__(self, balancer, norm=None):
        super().__init__()
        self.layer = nn.Linear(FEATURE_DIM, FEATURE_DIM)
        self.stem = nn.Sequential() if norm is None else nn.Sequential(nn.Linear(FEATURE_DIM, FEATURE_DIM), norm)
        self.balancer = balancer

    def forward(self, x):
        output = self.layer(self.stem(x))
        return self.balancer(
            {name: output[:, i].square() for i, name in enumerate(PARTS)},
            output,
            shared_parameters=next(self.stem.parameters(), self.layer.weight),
            output_parameters=self.layer.bias,
            detection_quality=DetectionQuality(lambda inputs: -inputs[0].abs().mean(), [output], step_scale=2.0),
            quality_of=lambda data: -self.layer(self.stem(torch.stack(data['inputs']).to(x))).abs().mean(),
        )


class SyncNorm(nn.BatchNorm1d):
    """``nn.SyncBatchNorm`` for CPU, where that of torch does not run: statistics of the images of all processes."""

    def forward(self, x):
        moments = torch.cat([x.sum(0), x.square().sum(0), x.new_full((1,), len(x))])
        total, squares, count = all_reduce(moments).split([self.num_features, self.num_features, 1])
        mean = total / count
        return (x - mean) * (squares / count - mean.square() + self.eps).rsqrt() * self.weight + self.bias


def batch_norm(kind=nn.BatchNorm1d):
    return kind(FEATURE_DIM, track_running_stats=False)


def images(rank):
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(4, FEATURE_DIM, generator=generator) * (1 + rank) for _ in range(STEPS)]


def train(seed, batches, wrap=lambda model: model, accumulate=1, norm=None, device='cpu', **settings):
    balancer = build(**settings)  # seeds every process alike
    torch.manual_seed(seed)
    for module in balancer.modules():  # whose seeds follow that of the run
        for name, child in module.named_children():
            if isinstance(child, StepGenerator):
                setattr(module, name, StepGenerator())
    detector = Detector(balancer, norm).to(device)
    model = wrap(detector)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    weights = []
    for number, batch in enumerate(batches, 1):
        out = model(batch.to(device))
        (objective(out) / accumulate).backward()
        if number % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
        weights.append([out[f'balance_{part}'].item() for part in PARTS])
    return weights, {key: value.cpu().clone() for key, value in detector.state_dict().items()}


def process(rank, out):
    result = {}
    for name, find_unused in itertools.product(all_balancers(), (False, True)):
        wrap = functools.partial(MMDistributedDataParallel, find_unused_parameters=find_unused)
        result[name, find_unused] = train(rank, images(rank), wrap, name=name)
    for variant, settings in EXACT.items():
        result[variant] = train(rank, images(rank), MMDistributedDataParallel, **settings)
    for granularity, noise in itertools.product(('image', 'batch'), NOISE):
        sampler = dict(type='MultipleGumbelSoftmax', noise=noise, num_samples=3)
        settings = slf(sampler=sampler, granularity=granularity, name='SLFBalancer')
        result[granularity, noise] = train(rank, images(0), MMDistributedDataParallel, **settings)[0]
    torch.save(result, f'{out}.{rank}')


def process_of_four(rank, out):
    """Two batches to a step of the optimizer, and last batches of which each process has another number of images."""
    result = {}
    for variant, settings in EXACT.items():
        result[variant] = train(rank, images(rank), MMDistributedDataParallel, accumulate=2, **settings)
        *batches, last = images(rank)
        result[variant, 'unequal'] = train(rank, [*batches, last[: rank + 1]], MMDistributedDataParallel, **settings)
    for variant, settings in SYNCED.items():
        settings = dict(settings, accumulate=2, norm=batch_norm(SyncNorm))
        result[variant, 'sync_bn'] = train(rank, images(rank), MMDistributedDataParallel, **settings)
    torch.save(result, f'{out}.{rank}')


def process_on_gpu(rank, out):
    """Two processes share the GPU, with torch's own SyncBN."""
    result = {}
    for variant, settings in SYNCED.items():
        settings = dict(settings, accumulate=2, norm=batch_norm(nn.SyncBatchNorm), device='cuda:0')
        result[variant] = train(rank, images(rank), MMDistributedDataParallel, **settings)
    torch.save(result, f'{out}.{rank}')

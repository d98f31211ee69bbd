"""A small training run with any balancer, in one process or two. Spawned processes import it by this name."""

import functools
import itertools

import torch
from mmengine.model import MMDistributedDataParallel
from registry import CONTEXT_DIM, PARTS, all_balancers, build, objective
from torch import nn

from slf_mmdet.balancers.criterion import Criterion

STEPS = 6
HELDOUT = dict(type='heldout', interval=1)
# Settings under which SLF's weights are the same in one process and in two: no noise, or one draw for all images
EXACT_SLF = dict(
    softmax=dict(sampler='softmax'),
    softmax_batch=dict(sampler='softmax', granularity='batch'),
    gumbel_batch=dict(granularity='batch', num_samples=30),
    literal=dict(granularity='batch', initial='uniform', detach_context=False, kl_weight=0.0, num_samples=3),
    normalized=dict(sampler='softmax', objective='normalized'),
    improvement=dict(sampler='softmax', objective='improvement'),
    heldout=dict(granularity='batch', objective=dict(HELDOUT, reference='base'), num_samples=30),
    heldout_by_image=dict(objective=HELDOUT),
    gradients=dict(sampler='softmax', anchor='gradients'),
    delta_ap=dict(granularity='batch', objective=dict(type='delta_ap', interval=1)),
    criterion=dict(granularity='batch', objective=HELDOUT, anchor='gradients', base_share=0.1),
)
NOISE = (None, 'independent', 'shared')


class Detector(nn.Module):
    """A linear layer whose squared outputs are the parts."""

    def __init__(self, balancer):
        super().__init__()
        self.layer = nn.Linear(CONTEXT_DIM, CONTEXT_DIM)
        self.balancer = balancer

    def forward(self, x):
        output = self.layer(x)
        parts = {name: output[:, i].square() for i, name in enumerate(PARTS)}
        criterion = Criterion(lambda places: places[0].abs().mean(), [output], reach=2.0)
        return self.balancer(parts, output, shared=self.layer.weight, criterion=criterion)


def images(rank):
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(4, CONTEXT_DIM, generator=generator) * (1 + rank) for _ in range(STEPS)]


def train(name, seed, batches, wrap=lambda model: model, **settings):
    balancer = build(name, **settings)  # seeds every process alike
    torch.manual_seed(seed)
    if hasattr(balancer, 'generator'):
        balancer.generator = type(balancer.generator)()
    detector = Detector(balancer)
    model = wrap(detector)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    weights = []
    for batch in batches:
        out = model(batch)
        optimizer.zero_grad()
        objective(out).backward()
        optimizer.step()
        weights.append([out[f'balance/{part}'].item() for part in PARTS])
    return weights, {key: value.clone() for key, value in detector.state_dict().items()}


def process(rank, out):
    result = {}
    for name, find_unused in itertools.product(all_balancers(), (False, True)):
        wrap = functools.partial(MMDistributedDataParallel, find_unused_parameters=find_unused)
        result[name, find_unused] = train(name, rank, images(rank), wrap)
    for variant, settings in EXACT_SLF.items():
        result[variant] = train('SLFBalancer', rank, images(rank), MMDistributedDataParallel, **settings)
    for granularity, noise in itertools.product(('image', 'batch'), NOISE):
        settings = dict(granularity=granularity, noise=noise, num_samples=3)
        result[granularity, noise] = train('SLFBalancer', rank, images(0), MMDistributedDataParallel, **settings)[0]
    torch.save(result, f'{out}.{rank}')

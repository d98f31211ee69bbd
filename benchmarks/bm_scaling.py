"""How the cost of SLF grows with the number of parts, of samples (K) and of images; forward and backward, no detector.

The parts are mean squares of the outputs of a linear layer, whose weights they share; the features have 1,000 numbers.
The first table is the sampler by itself.

Example:
    python benchmarks/bm_scaling.py
"""

from functools import partial
from typing import Any, Callable, Dict, Sequence, Union

import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side

import slf_mmdet  # noqa: F401  registers the balancers
from slf_mmdet.slf import multiple_gumbel_softmax

FEATURES, INPUTS = 1000, 128  # of the decision network, and of the linear layer
Call = Callable[[], object]


def sampler(num_samples: int, parts: int = 4, images: int = 64, device: Union[str, torch.device] = 'cpu') -> Call:
    """One draw of K samples for every image."""
    log_p = torch.randn(images, parts, device=device).log_softmax(-1)
    return lambda: multiple_gumbel_softmax(log_p, num_samples)


def step(
    balancer: str,
    parts: int = 4,
    images: int = 64,
    device: Union[str, torch.device] = 'cpu',
    **settings: Any,
) -> Call:
    """Balancer and backward pass of its objective, after the parts have been computed."""
    names = [f'part{index}' for index in range(parts)]
    made = MODELS.build(dict(type=balancer, parts=names, feature_dim=FEATURES, **settings)).to(device)
    weight = torch.randn(parts, INPUTS, device=device, requires_grad=True)
    inputs = torch.randn(images, INPUTS, device=device)
    features = torch.randn(images, FEATURES, device=device)

    def run() -> None:
        losses = (inputs @ weight.T).square()
        out = made(dict(zip(names, losses.unbind(1))), features, shared_parameters=weight)
        sum(value for name, value in out.items() if name.startswith('loss_')).backward()

    return run


def main() -> None:
    """Prints one table for each size."""
    made = parser(__doc__, rounds=60)
    made.add_argument('--repeats', type=int, default=10, help='calls within a round')
    args = made.parse_args()
    device = prepare(args)
    init_default_scope('mmdet')

    def table(title: str, column: str, values: Sequence[int], makers: Dict[str, Callable[..., Call]]) -> None:
        values = values[:2] if args.quick else values
        variants = {f'{name} {value}': make(value) for name, make in makers.items() for value in values}
        seconds = side_by_side(variants, args.rounds, device, repeats=1 if args.quick else args.repeats)
        rows = []
        for value in values:
            cells = []
            for name in makers:
                now, first = f'{name} {value}', f'{name} {values[0]}'
                cells += [milliseconds(seconds[now]), ratio(seconds, now, first)]
            rows.append((value, *cells))
        columns = [column] + [head for name in makers for head in (f'{name}, ms', f'over {column} = {values[0]}')]
        show(f'{title}, {args.rounds} rounds of {args.repeats}', columns, rows, device)

    alignment = dict(type='GradientAlignment', target='training_loss')
    slf: Dict[str, Dict[str, Any]] = dict(
        TrainingLoss=dict(balancer='SLFBalancer', signal=dict(type='TrainingLoss')),
        GradientAlignment=dict(balancer='SLFBalancer', signal=alignment),
    )
    balancers = dict(static=dict(balancer='StaticBalancer'), **slf)
    samples, parts, images = (1, 4, 16, 64), (4, 8, 16, 32, 64), (1, 4, 16, 64, 256)

    def with_samples(settings: Dict[str, Any], num_samples: int) -> Call:
        return step(device=device, sampler=dict(type='MultipleGumbelSoftmax', num_samples=num_samples), **settings)

    def makers(key: str, chosen: Dict[str, Dict[str, Any]]) -> Dict[str, Callable[..., Call]]:
        return {
            name: lambda value, settings=settings: step(device=device, **settings, **{key: value})
            for name, settings in chosen.items()
        }

    by_samples: Dict[str, Callable[..., Call]] = {name: partial(with_samples, made) for name, made in slf.items()}
    by_samples = dict(sampler=partial(sampler, device=device), **by_samples)
    table('Samples K, 4 parts, 64 images', 'K', samples, by_samples)
    table('Parts, K = 30, 64 images', 'parts', parts, makers('parts', balancers))
    table('Images, K = 30, 4 parts', 'images', images, makers('images', balancers))


if __name__ == '__main__':
    main()

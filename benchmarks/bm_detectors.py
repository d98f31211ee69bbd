"""A step of the default signal in detectors of mmdet: one that measures and the others, relative to static weights.

Networks have mmdet's own heads on a ResNet-18, so the heads, which a measurement runs again, weigh more than in
practice. Each loss is a part. The averages over a run follow from the two ratios and the intervals of the signal.

Example:
    python benchmarks/bm_detectors.py --only htc detr
"""

import copy
from typing import Any, Callable, Dict, List

import torch
from mmdet_models import build_balanced, small_model, two_images
from mmengine.registry import init_default_scope
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side
from torch import nn

from slf_mmdet.slf import DeltaAP

DETECTORS = dict(
    retinanet='retinanet/retinanet_r50_fpn_1x_coco.py',
    faster_rcnn='faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    mask_rcnn='mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    cascade='cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    htc='htc/htc-without-semantic_r50_fpn_1x_coco.py',
    detr='detr/detr_r50_8xb2-150e_coco.py',
)
SIGNALS = dict(measuring=dict(type='DeltaAP', interval=1), other=dict(type='DeltaAP', interval=10**9))
RUNS = (500, 10_000)


def measurements(iterations: int) -> int:
    """How many of the iterations of a run measure, with the signal's own interval."""
    signal = DeltaAP(2)
    found = 0
    for index in range(iterations):
        signal.counter.value = index
        found += index % signal._interval_now() == 0
    return found


def main() -> None:
    made = parser(__doc__, rounds=8)
    made.add_argument('--size', type=int, default=256, help='of the two images, in pixels')
    made.add_argument('--only', nargs='+', choices=DETECTORS, default=list(DETECTORS), metavar='NAME')
    args = made.parse_args()
    device = prepare(args)
    init_default_scope('mmdet')
    rows = []
    for name in args.only[:1] if args.quick else args.only:
        seconds = measure(name, 96 if args.quick else args.size, args.rounds, device)
        rows.append(row(name, seconds))
    title = f'Step over static weights, {args.size} px, batch 2; average over runs of {RUNS} iterations by arithmetic'
    columns = ['detector', 'parts', 'static, ms', 'measuring', 'other', *map(str, RUNS)]
    show(title, columns, rows, device)


def measure(name: str, size: int, rounds: int, device: torch.device) -> Dict[str, Any]:
    """Seconds of a forward and backward pass of each variant, and the number of parts."""
    cfg = small_model(DETECTORS[name])
    balancers: Dict[str, Dict[str, Any]] = dict(static=dict(type='StaticBalancer'))
    balancers.update({key: dict(type='SLFBalancer', signal=signal) for key, signal in SIGNALS.items()})
    models = {key: build_balanced(copy.deepcopy(cfg), balancer).to(device) for key, balancer in balancers.items()}
    inputs, samples = two_images(size)
    inputs, samples = inputs.to(device), [sample.to(device) for sample in samples]

    def step(model: nn.Module) -> Callable[[], None]:
        def run() -> None:
            torch.manual_seed(0)  # the same samples of proposals
            losses = model(inputs, copy.deepcopy(samples), mode='loss')
            model.parse_losses(losses)[0].backward()
            model.zero_grad()

        return run

    seconds = side_by_side({key: step(model) for key, model in models.items()}, rounds, device)
    return dict(seconds, parts=len(models['static'].loss_balancer.parts))


def row(name: str, seconds: Dict[str, Any]) -> List[object]:
    """Of the table."""
    parts = seconds.pop('parts')
    measuring, other = (ratio(seconds, key, 'static') for key in ('measuring', 'other'))
    averages = []
    for iterations in RUNS:
        number = measurements(iterations)
        averages.append(f'{(number * measuring.median + (iterations - number) * other.median) / iterations:.2f}')
    return [name, parts, milliseconds(seconds['static']), measuring, other, *averages]


if __name__ == '__main__':
    main()

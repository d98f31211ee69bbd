"""The YOLOv1 loss alone (targets, forward, backward) against the same loss as loops over images and objects.

Both go from the head's output and the boxes to the gradient of the output, and give the same loss. On a GPU, ours is
also run with ``torch.cuda.set_sync_debug_mode('error')``: it must not synchronise.

Example:
    python benchmarks/bm_yolov1_loss.py --objects 1 5 20
"""

from functools import partial
from typing import List

import torch
from mmdet.structures import DetDataSample
from random_batch import build, random_batch, read_config
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side
from torch import Tensor
from yolov1_loss_loop import loop_loss

from slf_mmdet.models.heads import YOLOV1Head

CONFIG = 'yolov1/yolov1_nano_1xb16-12e_digits-112px.py'  # the sizes of the image and of the network do not matter


def our_loss(head: YOLOV1Head, output: Tensor, samples: List[DetDataSample]) -> Tensor:
    """The loss of the head in training, with hand-set weights."""
    losses = head.loss_by_feat(output, [s.gt_instances for s in samples], [s.metainfo for s in samples])
    return sum(value for name, value in losses.items() if name.startswith('loss_'))


def main() -> None:
    """Prints one table."""
    made = parser(__doc__, rounds=10)
    made.add_argument('--batch-size', type=int, default=64)
    made.add_argument('--objects', type=int, nargs='+', default=[1, 2, 5, 10, 20], help='per image')
    args = made.parse_args()
    device = prepare(args)
    batch_size, objects = (2, [1, 2]) if args.quick else (args.batch_size, args.objects)
    cfg = read_config(CONFIG)
    head = build(cfg, device).bbox_head
    shape = (batch_size, head.out_channels, head.grid_size, head.grid_size)
    output = (0.5 * torch.randn(shape, device=device)).requires_grad_()

    rows = []
    for num_objects in objects:
        samples = [s.to(device) for s in random_batch(cfg, batch_size, num_objects)['data_samples']]
        ours = partial(our_loss, head, output, samples)
        loops = partial(loop_loss, output, [s.gt_instances for s in samples], cfg.img_scale, head.boxes_per_cell)
        torch.testing.assert_close(ours(), loops(), rtol=1e-4, atol=1e-4)
        variants = dict(
            ours=lambda compute=ours: torch.autograd.grad(compute(), output),
            loops=lambda compute=loops: torch.autograd.grad(compute(), output),
        )
        if device.type == 'cuda':
            torch.cuda.set_sync_debug_mode('error')
            variants['ours']()
            torch.cuda.set_sync_debug_mode('default')
        seconds = side_by_side(variants, args.rounds, device)
        rows.append(
            (
                num_objects,
                milliseconds(seconds['ours']),
                milliseconds(seconds['loops']),
                ratio(seconds, 'loops', 'ours'),
            )
        )
    columns = ('objects per image', 'ours, ms', 'loops, ms', 'loops over ours')
    show(f'YOLOv1 loss, batch {batch_size}, {args.rounds} rounds', columns, rows, device)


if __name__ == '__main__':
    main()

"""A full training step against its lower bound: forward and backward of the network alone on random targets.

The rows in between break the difference down.

Example:
    python benchmarks/bm_floor.py --model yolov1_d9_8xb8-135e_voc0712-448px --batch-size 16 --rounds 5
"""

from typing import Any, Callable, Dict

import torch
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from random_batch import build, random_batch, read_config
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side

FLOOR = 'network: forward, backward'


def variants_of(cfg: Config, batch: Dict[str, Any], device: torch.device) -> Dict[str, Callable[[], object]]:
    """The network alone, with what a step adds, and the whole step."""
    cfg.optim_wrapper.optimizer.lr = 1e-6  # random objects cannot be learnt: keeps the training from diverging
    detector = build(cfg, device)
    wrapper = build_optim_wrapper(detector, cfg.optim_wrapper)
    data = detector.data_preprocessor(batch, training=True)
    target = torch.rand_like(detector(data['inputs'])[0])

    def network() -> None:
        (detector(data['inputs'])[0] - target).square().mean().backward()
        wrapper.zero_grad()

    def optimizer() -> None:
        wrapper.update_params((detector(data['inputs'])[0] - target).square().mean())

    def loss() -> None:
        total, _ = detector.parse_losses(detector(**data, mode='loss'))
        wrapper.update_params(total)

    return {
        FLOOR: network,
        '+ clipping, optimizer': optimizer,
        '+ YOLO loss': loss,
        '+ preprocessing = training step': lambda: detector.train_step(batch, wrapper),
    }


def main() -> None:
    """Prints one table."""
    made = parser(__doc__, rounds=40)
    made.add_argument('--model', default='yolov1_nano_1xb16-12e_digits-112px', help='a config of configs/yolov1')
    made.add_argument('--batch-size', type=int, default=16)
    made.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='changes to the config')
    args = made.parse_args()
    device = prepare(args)
    cfg = read_config(f'yolov1/{args.model}.py')
    cfg.merge_from_dict(args.cfg_options)
    batch_size = 2 if args.quick else args.batch_size
    variants = variants_of(cfg, random_batch(cfg, batch_size), device)
    seconds = side_by_side(variants, args.rounds, device)
    rows = [(name, milliseconds(seconds[name]), ratio(seconds, name, FLOOR)) for name in variants]
    title = f'Training step, {args.model}, batch {batch_size}, {args.rounds} rounds'
    show(title, ('what', 'ms', 'over the network'), rows, device)


if __name__ == '__main__':
    main()

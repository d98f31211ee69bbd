"""A training step with each balancer, relative to the same step with hand-set weights.

One network is trained; only its balancer is replaced from step to step. A step is that of mmengine: copy to the
device, normalisation, forward, loss, backward, gradient clipping, optimizer.

Memory is counted at the start of backward: parameters, gradients, optimizer state and all tensors saved by
autograd. On a GPU it is ``torch.cuda.max_memory_allocated`` over a step.

Example:
    python benchmarks/bm_step.py --model yolov1_nano_1xb16-12e_digits-112px --batch-size 16 64
"""

import itertools
from functools import partial
from typing import Any, Dict, Iterable, List

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from random_batch import build, random_batch, read_config
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side
from torch import Tensor, nn

from slf_mmdet.balancers import LossBalancer

STATIC = 'Static'
# Arguments without a default. ScheduledBalancer: a schedule that changes in every step
SETTINGS: Dict[str, Dict[str, Any]] = {
    'Scheduled': dict(
        schedules=dict(cls=dict(value=1.0, schedulers=[dict(type='LinearParamScheduler', start_factor=0.1, end=501)]))
    )
}
ALWAYS, NEVER = dict(interval=1), dict(interval=10**9)  # by default a signal measures at most every fifth step
SIGNALS: Dict[str, Dict[str, Any]] = {
    'TrainingLoss': dict(type='TrainingLoss'),
    'RelativeLoss': dict(type='RelativeLoss'),
    'LossRate': dict(type='LossRate'),
    'GradientAlignment, measuring step': dict(type='GradientAlignment', **ALWAYS),
    'GradientAlignment, other steps': dict(type='GradientAlignment', **NEVER),
    'DeltaAP, measuring step': dict(type='DeltaAP', **ALWAYS),
    'DeltaAP, other steps': dict(type='DeltaAP', **NEVER),
}


def balancer_configs() -> Dict[str, Dict[str, Any]]:
    """Every registered balancer by its name, SLF with each of its signals."""
    found = [cls for cls in MODELS.module_dict.values() if isinstance(cls, type) and issubclass(cls, LossBalancer)]
    names = sorted(cls.__name__.replace('Balancer', '') for cls in found)
    configs = {name: dict(type=f'{name}Balancer', **SETTINGS.get(name, {})) for name in names}
    for name, signal in SIGNALS.items():
        configs[f'SLF, {name}'] = dict(type='SLFBalancer', signal=signal)
    return configs


class Trainer:
    """One detector that can be trained with any of several balancers.

    Args:
        cfg: config of the detector.
        balancers: name -> config of a balancer.
        device: that computes.
    """

    def __init__(self, cfg: Config, balancers: Dict[str, Dict[str, Any]], device: torch.device) -> None:
        # Random objects cannot be learnt: a tiny learning rate keeps the training from diverging
        cfg.optim_wrapper.optimizer.lr = 1e-6
        self.detector = build(cfg, device)
        self.balancers: Dict[str, nn.Module] = {}
        self.wrappers: Dict[str, OptimWrapper] = {}
        state = None
        for name, balancer in balancers.items():
            cfg.model.bbox_head.loss_balancer = balancer
            self.balancers[name] = MODELS.build(cfg.model).bbox_head.loss_balancer.to(device).train()
            self.detector.bbox_head.loss_balancer = self.balancers[name]
            wrapper = build_optim_wrapper(self.detector, cfg.optim_wrapper)
            state = wrapper.optimizer.state if state is None else state
            wrapper.optimizer.state = state  # all share the moments of the detector
            self.wrappers[name] = wrapper

    def step(self, name: str, batch: Dict[str, Any]) -> None:
        """Trains one step with the balancer of that name."""
        self.detector.bbox_head.loss_balancer = self.balancers[name]
        self.detector.train_step(batch, self.wrappers[name])

    def memory(self, name: str, batch: Dict[str, Any]) -> int:
        """Bytes in use when backward starts, or the peak of the GPU; after the first step of a balancer."""
        self.step(name, batch)
        device = next(self.detector.parameters()).device
        if device.type == 'cuda':
            others = [module for key, module in self.balancers.items() if key != name]
            torch.cuda.reset_peak_memory_stats(device)
            self.step(name, batch)
            unused = sum(_bytes(itertools.chain(module.parameters(), module.buffers())) for module in others)
            return torch.cuda.max_memory_allocated(device) - unused
        saved: List[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            saved.append(tensor)
            return tensor

        data = self.detector.data_preprocessor(batch, training=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            losses = self.detector(**data, mode='loss')
        parameters = list(self.detector.parameters())
        state = self.wrappers[name].optimizer.state
        moments = [value for p in parameters for value in state[p].values() if isinstance(value, Tensor)]
        gradients = _bytes(p for p in parameters if p.requires_grad)  # of the size of the parameters
        return gradients + _bytes([*parameters, *self.detector.buffers(), *moments, *saved, *losses.values()])


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Size of the storages, each counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def main() -> None:
    """Prints one table for each batch size."""
    made = parser(__doc__, rounds=40)
    made.add_argument('--model', default='yolov1_nano_1xb16-12e_digits-112px', help='a config of configs/yolov1')
    made.add_argument('--batch-size', type=int, nargs='+', default=[16, 64])
    made.add_argument('--only', nargs='+', help='names of the first column (default: all)')
    args = made.parse_args()
    device = prepare(args)
    cfg = read_config(f'yolov1/{args.model}.py')
    configs = balancer_configs()
    names = args.only or ([STATIC, 'SLF'] if args.quick else list(configs))
    configs = {name: configs[name] for name in dict.fromkeys([STATIC, *names])}
    trainer = Trainer(cfg, configs, device)

    for batch_size in [2] if args.quick else args.batch_size:
        batch = random_batch(cfg, batch_size)
        seconds = side_by_side({name: partial(trainer.step, name, batch) for name in configs}, args.rounds, device)
        memory = {name: trainer.memory(name, batch) for name in configs}
        rows = [
            (
                name,
                milliseconds(seconds[name]),
                ratio(seconds, name, STATIC),
                f'{memory[name] / memory[STATIC]:.3f}',
            )
            for name in configs
        ]
        show(
            f'Training step, {args.model}, batch {batch_size}, {args.rounds} rounds',
            ('balancer', 'ms', 'time over static', 'memory over static'),
            rows,
            device,
        )


if __name__ == '__main__':
    main()

"""PaperStochasticLoss with the paper's five candidates against cross-entropy, forward and backward of the loss alone.

Example:
    python benchmarks/bm_stochastic_loss.py --rounds 50
"""

from functools import partial
from typing import Dict, List, Tuple

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from side_by_side import milliseconds, parser, prepare, ratio, show, side_by_side
from torch import Tensor, nn

from slf_mmdet import get_config_path

# Samples, classes: a batch of MNIST, of CIFAR-100, and the anchors of a small detector
SIZES = ((128, 10), (128, 100), (8192, 21))


def build_losses(num_classes: int) -> Dict[str, nn.Module]:
    """Cross-entropy, and SLF with and without sampling."""
    names = ('slf_paper', 'slf_paper_softmax')
    fragments = {name: Config.fromfile(get_config_path(f'_base_/losses/{name}.py')).loss for name in names}
    return {
        'cross-entropy': MODELS.build(dict(type='CrossEntropyLoss')),
        'SLF, K = 3': MODELS.build(dict(fragments['slf_paper'], feature_dim=num_classes)),
        'SLF, softmax': MODELS.build(dict(fragments['slf_paper_softmax'], feature_dim=num_classes)),
    }


def step(loss: nn.Module, logits: Tensor, labels: Tensor) -> Tuple[Tensor, ...]:
    """The gradients of a loss that a training step needs."""
    return torch.autograd.grad(loss(logits, labels), [logits, *loss.parameters()], allow_unused=True)


def main() -> None:
    """Prints one table."""
    args = parser(__doc__, rounds=30).parse_args()
    device = prepare(args)
    rows: List[Tuple[object, ...]] = []
    for num_samples, num_classes in SIZES[:1] if args.quick else SIZES:
        logits = torch.randn(num_samples, num_classes, device=device, requires_grad=True)
        labels = torch.randint(num_classes, (num_samples,), device=device)
        losses = {name: loss.to(device) for name, loss in build_losses(num_classes).items()}
        variants = {name: partial(step, loss, logits, labels) for name, loss in losses.items()}
        seconds = side_by_side(variants, args.rounds, device, repeats=5)
        for name in losses:
            over = ratio(seconds, name, 'cross-entropy')
            rows.append((f'{num_samples} x {num_classes}', name, milliseconds(seconds[name]), over))
    columns = ('samples x classes', 'loss', 'ms', 'over cross-entropy')
    show(f'Loss alone, forward and backward, {args.rounds} rounds', columns, rows, device)


if __name__ == '__main__':
    main()

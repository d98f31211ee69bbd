"""Warns when a loss weight collapses, and can reset the decision network or stop the training."""

from typing import Dict, List, Optional, Set, Tuple

import torch
from mmdet.registry import HOOKS
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from ..utils.checks import is_count, is_number, require
from .balanced_steps import StepsSoFar, find_balancers
from .collapse import diagnose

STATE = 'collapse_guard'  # key of a checkpoint
POLICIES = dict(
    warn='',
    reset=' The decision network is back at its initial probabilities.',
    stop=' The training stops.',
)


@HOOKS.register_module()
class CollapseGuardHook(Hook):
    """Checks the mean of every ``patience`` iterations for collapsed parts, see :func:`~slf_mmdet.hooks.diagnose`.

    The iterations since the last check are in the checkpoint, so a resumed run is checked as an uninterrupted one.

    Each check synchronises with the device once. In distributed training it is made on the mean over the processes, so
    that all do the same. Without a balancer in the model the hook does nothing.

    Args:
        share: threshold in (0, 1) of :func:`~slf_mmdet.hooks.diagnose`.
        patience: iterations >= 1.
        policy: ``'warn'`` writes a warning with the likely cause and what to change, once for each part.
            ``'reset'`` also resets the decision network to its initial probabilities and clears its optimizer state,
            each time. ``'stop'`` warns and ends the training as mmengine's ``EarlyStoppingHook`` does: an epoch-based
            one at the end of the epoch, with its checkpoint and evaluation.

    Raises:
        ValueError: a setting is out of its range; or, before training, ``policy='reset'`` with a balancer that has no
            decision network.
    """

    priority = 'NORMAL'

    def __init__(self, share: float = 0.02, patience: int = 200, policy: str = 'warn') -> None:
        for key, ok, wanted, found in (
            ('share', is_number(share) and 0 < share < 1, 'in (0, 1)', share),
            ('patience', is_count(patience), 'an integer >= 1 (iterations)', patience),
            ('policy', policy in POLICIES, f'one of {list(POLICIES)}', policy),
        ):
            require(ok, 'CollapseGuardHook', key, wanted, found)
        self._loaded: Dict[str, Tuple[List[Tensor], List[str]]] = {}
        self.share = share
        self.patience = patience
        self.policy = policy

    def before_train(self, runner: Runner) -> None:
        balancers = find_balancers(runner.model)
        for balancer in balancers.values():
            if self.policy == 'reset' and not hasattr(balancer, 'reset'):
                raise ValueError(
                    "CollapseGuardHook: policy='reset' needs a balancer with a decision network, such as "
                    f"SLFBalancer; found {type(balancer).__name__}. Use policy='warn' or 'stop'."
                )
        self._steps: Dict[str, StepsSoFar] = {prefix: StepsSoFar(balancer) for prefix, balancer in balancers.items()}
        self._warned: Dict[str, Set[str]] = {prefix: set() for prefix in balancers}
        if runner.iter:  # a resumed run, whose windows go on
            for prefix, (steps, warned) in self._loaded.items():
                if prefix in balancers:
                    self._steps[prefix].load(steps)
                    self._warned[prefix] = set(warned)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint[STATE] = {
            prefix: (steps.state(), sorted(self._warned[prefix])) for prefix, steps in self._steps.items()
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._loaded = checkpoint.get(STATE, {})

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: Optional[dict] = None
    ) -> None:
        for prefix, steps in self._steps.items():
            steps.add()
            if len(steps) and (runner.iter + 1) % self.patience == 0:
                self._judge(runner, prefix, steps)

    def _judge(self, runner: Runner, prefix: str, steps: StepsSoFar) -> None:
        balancer, seen = steps.balancer, steps.take()
        means = torch.stack(
            [balancer.base_weights, *(x.mean(0).to(balancer.base_weights) for x in (seen.weights, seen.weighted))]
        )
        dist.all_reduce(means, op='mean')
        base, weights, weighted = (dict(zip(balancer.parts, row)) for row in means.tolist())
        found = diagnose(base, weights, weighted, self.share)
        if not found.collapsed:
            return
        if self.policy == 'reset' or not self._warned[prefix].issuperset(found.collapsed):
            self._warned[prefix].update(found.collapsed)
            name = f' {prefix.rstrip("_")}' if prefix else ''
            runner.logger.warning(
                f'CollapseGuardHook: in iterations {max(1, runner.iter + 2 - self.patience)} to {runner.iter + 1} '
                f'{type(balancer).__name__}{name} has {found}. {balancer.collapse_advice()}{POLICIES[self.policy]}'
            )
        if self.policy == 'reset':
            balancer.reset()
            clear_optimizer_state(runner, balancer)
        elif self.policy == 'stop':
            runner.train_loop.stop_training = True


def clear_optimizer_state(runner: Runner, module: nn.Module) -> None:
    """Clears the state (momentum and the like) of a module's parameters in the run's optimizers."""
    wrapper = runner.optim_wrapper
    for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        for parameter in module.parameters():
            one.optimizer.state.pop(parameter, None)

"""Refuses trainings that split the parameters over the processes, where no balancer is known to be right.

Torch marks every module under either of its FSDPs, whichever runner or loop wraps the model. DeepSpeed and ColossalAI
leave no such mark, so mmengine's strategies for them are asked instead.
"""

import functools
from typing import Any, Type

from mmengine._strategy import BaseStrategy, ColossalAIStrategy, DeepSpeedStrategy
from torch import nn


class ShardedTrainingError(RuntimeError):
    """A balancer is trained under FSDP, DeepSpeed or ColossalAI.

    Args:
        balancer: that is trained.
        library: which splits its parameters.
    """

    def __init__(self, balancer: nn.Module, library: str) -> None:
        super().__init__(
            f'{type(balancer).__name__} is not supported under {library}, which splits parameters, gradients or the '
            'state of the optimizer over the processes. Balancers differentiate parts of the loss with respect to '
            'whole parameters, run heads again within a step, and keep a state that must be whole in every process and '
            'checkpoint for a run to be resumed. Train with MMDistributedDataParallel: with the ordinary Runner, '
            "without model_wrapper_cfg, or with FlexibleRunner and strategy=dict(type='DDPStrategy')."
        )


def check_not_sharded(balancer: nn.Module) -> None:
    """Raises :class:`ShardedTrainingError` where the balancer is in a model under FSDP, of version 1 or 2."""
    if getattr(balancer, '_is_fsdp_managed_module', False):
        raise ShardedTrainingError(balancer, 'FSDP')


def refuse_balancers(strategy: Type[BaseStrategy], balancer_class: Type[nn.Module], library: str) -> None:
    """Makes a strategy of mmengine's FlexibleRunner raise before it trains a model with a balancer; it may test one.

    Args:
        strategy: class that is changed.
        balancer_class: of balancers.
        library: that the strategy uses, for the text of the error.
    """
    prepare = strategy.prepare

    @functools.wraps(prepare)
    def checked(self: BaseStrategy, model: Any, *, optim_wrapper: Any = None, **settings: Any) -> Any:
        if optim_wrapper is not None:
            model = self.build_model(model)
            for module in model.modules():
                if isinstance(module, balancer_class):
                    raise ShardedTrainingError(module, library)
        return prepare(self, model, optim_wrapper=optim_wrapper, **settings)

    strategy.prepare = checked


def refuse_strategies(balancer_class: Type[nn.Module]) -> None:
    """Lets no strategy without a mark of its own train a balancer of this class."""
    refuse_balancers(DeepSpeedStrategy, balancer_class, 'DeepSpeed')
    refuse_balancers(ColossalAIStrategy, balancer_class, 'ColossalAI')

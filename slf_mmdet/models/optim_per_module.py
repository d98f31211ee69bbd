"""An optimizer for each part of a model that is trained by itself, such as the two networks of a GAN."""

from typing import Any, Optional

from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ..utils.checks import require
from ..utils.wrapped import unwrapped


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimPerModule:
    """Builds mmengine's ``OptimWrapperDict`` from a config for each child module, by its name.

    ::

        optim_wrapper = dict(
            constructor='OptimPerModule',
            generator=dict(optimizer=dict(type='Adam', lr=2e-4)),
            discriminator=dict(optimizer=dict(type='Adam', lr=2e-4)),
        )

    Args:
        optim_wrapper_cfg: name of a child module -> config of its optimizer, as mmengine's ``optim_wrapper``.
        paramwise_cfg: must be ``None``: each child has its own.

    Raises:
        ValueError: a name is none of the model's children, or a child with parameters to train has no optimizer.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None) -> None:
        hint = 'Put it into the config of a module.'
        require(paramwise_cfg is None, 'OptimPerModule', 'paramwise_cfg', 'None', paramwise_cfg, hint)
        self.optim_wrapper_cfg = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """The wrappers, in the order of the config."""
        owner: Any = unwrapped(model)
        children = {
            name: child
            for name, child in owner.named_children()
            if any(parameter.requires_grad for parameter in child.parameters())
        }
        wanted, found = f'a dict of {sorted(children)}', sorted(self.optim_wrapper_cfg)
        hint = 'Each trained part of the model has its optimizer.'
        require(found == sorted(children), 'OptimPerModule', 'optim_wrapper', wanted, found, hint)
        return OptimWrapperDict(
            **{name: build_optim_wrapper(children[name], dict(cfg)) for name, cfg in self.optim_wrapper_cfg.items()}
        )

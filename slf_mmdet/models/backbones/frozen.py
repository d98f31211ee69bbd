"""What is frozen in a backbone stays in evaluation mode."""

from typing import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def keep_frozen(backbone: nn.Module, frozen: Iterable[nn.Module], norm_eval: bool) -> None:
    """Sets modules to evaluation mode, after ``train()`` has set all to training.

    Args:
        backbone: whose batch normalisations ``norm_eval`` means.
        frozen: modules that are not trained.
        norm_eval: all batch normalisations of the backbone, too.
    """
    for module in frozen:
        module.eval()
    if norm_eval:
        for module in backbone.modules():
            if isinstance(module, _BatchNorm):
                module.eval()

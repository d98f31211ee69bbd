"""Models that a wrapper holds for distributed training."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> Any:
    """The model itself, where it may be wrapped for distributed training."""
    return model.module if is_model_wrapper(model) else model

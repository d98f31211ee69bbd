"""Means over the processes of a distributed training, so that they decide as one process with all images would."""

import torch
from mmengine import dist
from torch import Tensor


def mean_over_processes(values: Tensor) -> Tensor:
    """Averages a tensor over all processes, each of which must call this with the same shape.

    A gradient of ``values`` is kept, as ``DistributedDataParallel`` expects it, which averages the gradients of the
    processes.

    Args:
        values: any shape.

    Returns:
        The mean; with one process the tensor itself.
    """
    count = dist.get_world_size()
    if count == 1:
        return values
    if values.requires_grad and torch.is_grad_enabled():
        from torch.distributed.nn.functional import all_reduce  # some builds of torch have no distributed package

        return all_reduce(values) / count
    values = values.clone()
    dist.all_reduce(values, op='mean')
    return values
